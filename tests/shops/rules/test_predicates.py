"""Conditions as JSON: what they mean, what they say, and which mistakes are found when they are saved."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import InvalidInput
from tidings.features.shops.rules.field_types import FieldType
from tidings.features.shops.rules.operators import OPERATORS
from tidings.features.shops.rules.predicates import compile_predicate

FIELDS = {
    "order.name": FieldType.TEXT,
    "order.count": FieldType.NUMBER,
    "order.total": FieldType.MONEY,
    "order.test": FieldType.BOOLEAN,
    "order.at": FieldType.DATE,
    "order.tags": FieldType.LIST,
    "city": FieldType.TEXT,
    "a.deeply.nested.name": FieldType.TEXT,
}
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ORDER = {
    "name": "Große Café-Bestellung",
    "count": 3,
    "total": "19.90",
    "test": False,
    "at": datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    "tags": ["VIP", "Whole sale"],
}
CONTEXT = {"order": ORDER, "city": "Köln", "a": {"deeply": {"nested": {"name": "x"}}}, "now": NOW}


def ask(field: str, op: str, *value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, **({"value": value[0]} if value else {})}


def held(field: str, op: str, *value: Any, context: Any = CONTEXT) -> bool:
    return compile_predicate(ask(field, op, *value), FIELDS).matches(context)


@every_case(
    ("field", "op", "value", "holds"),
    [
        ("order.name", "equals", "GROSSE CAFÉ-BESTELLUNG", True),
        ("order.name", "equals", "große cafe\N{COMBINING ACUTE ACCENT}-bestellung", True),
        ("order.name", "==", "Bestellung", False),
        ("order.name", "not_equals", "Bestellung", True),
        ("order.name", "!=", "große café-bestellung", False),
        ("order.name", "in", ["a", "Große Café-Bestellung"], True),
        ("order.name", "in", ["a"], False),
        ("order.name", "not_in", ["a"], True),
        ("order.name", "contains", "CAFÉ", True),
        ("order.name", "contains", "tea", False),
        ("order.name", "not_contains", "tea", True),
        ("order.name", "contains_any", ["tea", "café"], True),
        ("order.name", "contains_any", ["tea", "milk"], False),
        ("order.name", "contains_all", ["große", "café"], True),
        ("order.name", "contains_all", ["große", "tea"], False),
        ("order.name", "starts_with", "GRO", True),
        ("order.name", "starts_with", "café", False),
        ("order.name", "ends_with", "lung", True),
        ("city", "equals", "köln", True),
        ("a.deeply.nested.name", "equals", "X", True),
        ("order.count", "equals", 3, True),
        ("order.count", "equals", 3.0, True),
        ("order.count", "=", 4, False),
        ("order.count", ">", 2, True),
        ("order.count", ">", 3, False),
        ("order.count", ">=", 3, True),
        ("order.count", "<", 3, False),
        ("order.count", "<=", 3, True),
        ("order.count", "in", [1, 3], True),
        ("order.count", "between", [1, 3], True),
        ("order.count", "between", [4, 9], False),
        ("order.total", "equals", "19.9", True),
        ("order.total", "equals", 19.9, True),
        ("order.total", "at_least", 50, False),
        ("order.total", "at_least", "19.90", True),
        ("order.total", "greater_than", "19.899999999999999999", True),
        ("order.total", "at_most", 19.9, True),
        ("order.total", "less_than", 19.9, False),
        ("order.total", "between", ["19.90", 20], True),
        ("order.total", "not_in", ["19.900", 5], False),
        ("order.test", "equals", False, True),
        ("order.test", "not_equals", True, True),
        ("order.tags", "contains", "vip", True),
        ("order.tags", "contains", "whole", False),
        ("order.tags", "not_contains", "whole", True),
        ("order.tags", "contains_any", ["gold", "WHOLE SALE"], True),
        ("order.tags", "contains_all", ["vip", "whole sale"], True),
        ("order.tags", "contains_all", ["vip", "gold"], False),
        ("order.at", "before", "2026-11-20T10:31:00+01:00", True),
        ("order.at", "before", "2026-11-20", False),
        ("order.at", "before", "2026-11-21", True),
        ("order.at", "after", "2026-11-20", False),
        ("order.at", "after", "2026-11-19", True),
        ("order.at", "after", "2026-11-20T09:29:59Z", True),
        ("order.at", "after", "2026-11-20T09:30:00Z", False),
        ("order.at", "between", ["2026-11-20", "2026-11-20"], True),
        ("order.at", "between", ["2026-11-20T09:30:00Z", "2026-11-20T09:30:00Z"], True),
        ("order.at", "between", ["2026-11-19", "2026-11-20T09:29:59Z"], False),
        ("order.at", "between", ["2026-11-21", "2026-11-30"], False),
        ("order.at", "within_last_days", 5, True),
        ("order.at", "within_last_days", 4, False),
        ("order.at", "within_last_days", 4.5, True),
        ("order.at", "more_than_days_ago", 4, True),
        ("order.at", "more_than_days_ago", 5, False),
    ],
)
def test_an_operator_means_what_its_name_says(field: str, op: str, value: Any, holds: bool) -> None:
    assert held(field, op, value) is holds


@pytest.mark.parametrize(
    ("field", "op", "holds"),
    [
        ("order.name", "is_present", True),
        ("order.name", "is_missing", False),
        ("order.test", "is_true", False),
        ("order.test", "is_false", True),
    ],
)
def test_some_operators_need_no_value(field: str, op: str, holds: bool) -> None:
    assert held(field, op) is holds


VALUES: dict[FieldType, Any] = {
    FieldType.TEXT: "a", FieldType.NUMBER: 1, FieldType.MONEY: "1.00", FieldType.BOOLEAN: True,
    FieldType.DATE: "2026-01-01", FieldType.LIST: "a",
}  # fmt: skip
EVERY_QUESTION = [
    (name, op)
    for name, kind in FIELDS.items()
    for op, operator in OPERATORS.items()
    if kind in operator.types and name.startswith("order.")
]


def usual_value(kind: FieldType, op: str) -> list[Any]:
    if not OPERATORS[op].takes_value:
        return []
    value = VALUES[kind]
    if op.endswith(("days", "days_ago")):
        return [3]
    return [[value, value]] if op in {"between", "in", "not_in", "contains_any", "contains_all"} else [value]


@every_case("nothing", [{}, {"order": None}, {"order": {}}, {"order": "text"}, {"order": []}, "null"])
@every_case(("field", "op"), EVERY_QUESTION)
def test_of_a_missing_value_only_the_negative_holds(field: str, op: str, nothing: Any) -> None:
    context = {"order": dict.fromkeys(ORDER)} if nothing == "null" else nothing
    negative = op in {"is_missing", "not_equals", "not_in", "not_contains"}
    assert held(field, op, *usual_value(FIELDS[field], op), context=context) is negative


@every_case(
    ("field", "value"),
    [
        ("order.name", "  "), ("order.name", 1.5), ("order.name", True), ("order.count", "three"),
        ("order.count", True), ("order.count", float("nan")), ("order.total", "NaN"), ("order.total", "-Infinity"),
        ("order.total", "1e999999999"), ("order.total", "19,90"), ("order.test", "true"), ("order.test", 1),
        ("order.at", "yesterday"), ("order.at", 1700000000), ("order.at", "0001-01-01T00:00:00+14:00"),
        ("order.tags", []), ("order.tags", [None, " "]), ("order.tags", {"a": 1}),
    ],
)  # fmt: skip
def test_what_is_not_of_its_type_is_missing(field: str, value: Any) -> None:
    context = {"order": {field.partition(".")[2]: value}}
    assert held(field, "is_missing", context=context)
    assert not held(field, "is_present", context=context)


@pytest.mark.parametrize(
    ("value", "op", "operand"),
    [
        (450789469, "equals", "450789469"),
        (Decimal("7.10"), "equals", "7.1"),
        ("vip, gold", "contains", "gold"),
        ("2026-11-20T04:30:00-05:00", "after", "2026-11-20T09:29:00Z"),
        ("2026-11-20T09:30:00", "before", "2026-11-20T09:31:00Z"),
    ],
)
def test_values_are_read_as_shops_write_them(value: Any, op: str, operand: str) -> None:
    kinds = {"equals": FieldType.TEXT, "contains": FieldType.LIST}
    kind = FieldType.MONEY if isinstance(value, Decimal) else kinds.get(op, FieldType.DATE)
    assert compile_predicate(ask("x", op, operand), {"x": kind}).matches({"x": value})


def test_groups_combine_conditions() -> None:
    yes, no = ask("order.count", ">", 1), ask("order.count", ">", 5)
    for document, holds in [
        ({"all": [yes, yes]}, True),
        ({"all": [yes, no]}, False),
        ({"any": [no, yes]}, True),
        ({"any": [no, no]}, False),
        ({"not": no}, True),
        ({"not": {"all": [yes, no]}}, True),
        ({"all": [{"any": [no, yes]}, {"not": {"not": yes}}]}, True),
        ({"any": [{"all": [yes, no]}, {"all": [no]}]}, False),
    ]:
        assert compile_predicate(document, FIELDS).matches(CONTEXT) is holds


def test_a_predicate_names_the_fields_it_looks_at() -> None:
    document = {"all": [ask("order.count", ">", 1), {"not": ask("city", "is_missing")}, ask("city", "equals", "x")]}
    assert compile_predicate(document, FIELDS).fields() == {"order.count", "city"}


@pytest.mark.parametrize("now", [NOW, "2026-11-24T13:00:00+01:00"])
def test_the_present_moment_comes_with_the_context(now: Any) -> None:
    assert held("order.at", "within_last_days", 5, context={"order": ORDER, "now": now})


def test_without_the_present_moment_no_relative_date_holds() -> None:
    assert not held("order.at", "within_last_days", 5, context={"order": ORDER})
    assert not held("order.at", "more_than_days_ago", 1, context={"order": ORDER})


def test_what_lies_in_the_future_is_not_within_the_last_days() -> None:
    context = {"order": {"at": NOW + timedelta(hours=1)}, "now": NOW}
    assert not held("order.at", "within_last_days", 5, context=context)


@every_case(
    ("document", "sentences"),
    [
        (ask("order.total", "at_least", 50), ["order.total is 19.90, not at least 50"]),
        (ask("order.total", "<=", "20.00"), ["order.total is 19.90, at most 20.00"]),
        (ask("order.total", "between", [1, 5]), ["order.total is 19.90, not between 1 and 5"]),
        (ask("order.count", "equals", 3), ["order.count is 3, equal to 3"]),
        (ask("city", "!=", "köln"), ["city is 'Köln', equal to 'köln', which must not be"]),
        (ask("city", "!=", "Bonn"), ["city is 'Köln', not equal to 'Bonn'"]),
        (ask("city", "in", ["Bonn", "Trier", "Aachen"]), ["city is 'Köln', not one of 'Bonn', 'Trier' or 'Aachen'"]),
        (
            ask("city", "in", list("abcdefg")),
            ["city is 'Köln', not one of 'a', 'b', 'c', 'd', 'e' or 2 others"],
        ),
        (ask("order.tags", "contains", "vip"), ["order.tags is 'VIP' and 'Whole sale', containing 'vip'"]),
        (ask("order.tags", "not_contains", "x"), ["order.tags is 'VIP' and 'Whole sale', not containing 'x'"]),
        (ask("order.test", "is_true"), ["order.test is false, not true"]),
        (ask("order.test", "is_false"), ["order.test is false"]),
        ({"not": ask("order.test", "is_false")}, ["order.test is false, which must not be"]),
        (ask("order.at", "before", "2026-11-20"), ["order.at is 2026-11-20 09:30+00:00, not before 2026-11-20"]),
        (
            ask("order.at", "within_last_days", 1),
            ["order.at is 2026-11-20 09:30+00:00, not within the last day"],
        ),
        (
            ask("order.at", "more_than_days_ago", 2),
            ["order.at is 2026-11-20 09:30+00:00, more than 2 days ago"],
        ),
        (ask("city", "is_present"), ["city is 'Köln'"]),
        (ask("city", "is_missing"), ["city is 'Köln' and must be missing"]),
        ({"not": ask("city", "is_missing")}, ["city is 'Köln'"]),
        ({"any": [ask("order.count", ">", 5), ask("order.count", "<", 5)]},
         ["order.count is 3, not more than 5", "order.count is 3, less than 5"]),
    ],
)  # fmt: skip
def test_an_explanation_says_what_was_found_and_what_was_asked(document: Any, sentences: list[str]) -> None:
    assert compile_predicate(document, FIELDS).explain(CONTEXT) == sentences


def test_an_explanation_says_that_a_value_is_missing() -> None:
    for document, sentence in [
        (ask("order.total", "at_least", 50), "order.total is missing, so it is not at least 50"),
        (ask("city", "is_present"), "city is missing and must not be"),
        (ask("city", "is_missing"), "city is missing"),
    ]:
        assert compile_predicate(document, FIELDS).explain({}) == [sentence]


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = ask("city", "is_present")
    for _ in range(levels - 1):
        document = {"not": document}
    return document


@every_case(
    ("document", "path", "said"),
    [
        ("city", "", "must be an object"),
        (None, "", "must be an object"),
        ({}, "", "has no 'field'"),
        ({"field": "city"}, "", "has no 'op'"),
        ({"op": "equals", "value": 1}, "", "has no 'field'"),
        ({"all": []}, "all", "is empty; give it at least one condition"),
        ({"any": []}, "any", "is empty"),
        ({"all": {"field": "city"}}, "all", "must be a list"),
        ({"all": ["x"]}, "all.0", "must be an object"),
        ({"not": []}, "not", "must be an object"),
        ({"all": [nested(1)], "any": [nested(1)]}, "any", "cannot stand beside 'all'"),
        ({"not": nested(1), "op": "equals"}, "op", "cannot stand beside 'not'"),
        ({"feild": "city", "op": "equals"}, "feild", "is not a key of a condition; there is field"),
        ({"field": "city", "op": "equals", "vlaue": 1}, "vlaue", "there is value"),
        ({"al": [nested(1)]}, "al", "there is all"),
        (
            {"all": [nested(1), ask("citty", "equals", "x")]},
            "all.1.field",
            "there is no field 'citty'; there is city",
        ),
        (ask("order.totl", "equals", "x"), "field", "there is order.total"),
        ({"field": ["city"], "op": "equals"}, "field", "there is no field"),
        (ask("city", "equal", "x"), "op", "there is no operator 'equal'; there is equals"),
        ({"field": "city", "op": 5, "value": 1}, "op", "there is no operator 5"),
        ({"field": "city", "op": None}, "op", "there is no operator None"),
        (ask("city", ">", "x"), "op", "city is a text field, which has no '>'; use one of equals, not_equals, in"),
        (ask("order.total", "contains", "x"), "op", "order.total is a money field"),
        (ask("order.at", "equals", "2026-01-01"), "op", "use one of between, is_missing, is_present, before, after"),
        (ask("order.tags", "equals", "x"), "op", "order.tags is a list field"),
        (ask("order.test", "contains", "x"), "op", "order.test is a boolean field"),
        (ask("city", "is_missing", True), "value", "'is_missing' takes no value; leave it out"),
        (ask("city", "equals"), "", "'equals' needs a value; add one"),
        (ask("city", "equals", None), "value", "needs a text of 1 to 500 characters"),
        (ask("city", "equals", 5), "value", "needs a text"),
        (ask("city", "equals", " "), "value", "needs a text"),
        (ask("city", "equals", "x" * 501), "value", "needs a text"),
        (ask("city", "in", "x"), "value", "needs a list of 1 to 1,000 values"),
        (ask("city", "in", []), "value", "needs a list"),
        (ask("city", "in", ["x"] * 1001), "value", "needs a list"),
        (ask("city", "in", ["x", 5]), "value", "needs a text"),
        (ask("order.count", ">", "3"), "value", "needs a number such as 3, without quotes"),
        (ask("order.count", ">", True), "value", "needs a number"),
        (ask("order.count", ">", float("inf")), "value", "needs a number"),
        (ask("order.total", ">", "fifty"), "value", 'needs an amount such as 50 or "49.90"'),
        (ask("order.total", "between", [5]), "value", "needs two values"),
        (ask("order.total", "between", [5, 1]), "value", "has the higher value first"),
        (ask("order.test", "equals", "true"), "value", "needs true or false"),
        (ask("order.at", "before", "2026-13-01"), "value", "needs a day such as 2026-11-24"),
        (ask("order.at", "before", "2026-11-24T09:00:00"), "value", "a time with its offset"),
        (ask("order.at", "before", 20261124), "value", "needs a day"),
        (ask("order.at", "before", "1066-10-14"), "value", "is too far from today"),
        (ask("order.at", "within_last_days", 0), "value", "needs a number of days, more than 0"),
        (ask("order.at", "within_last_days", "7"), "value", "needs a number of days"),
        (ask("order.at", "within_last_days", 1e9), "value", "at most 36,500"),
        ({"all": [nested(1)] * 101}, "all.100", "is one condition too many; at most 100 can be used"),
        (nested(9), ".".join(["not"] * 8), "is nested more than 8 levels deep"),
        (nested(5_000), ".".join(["not"] * 8), "is nested more than 8 levels deep"),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_what_to_change(document: Any, path: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_predicate(document, FIELDS)
    assert caught.value.field == path
    assert said in caught.value.message


def test_the_path_of_a_mistake_begins_where_the_document_stands() -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_predicate({"all": [ask("citty", "equals", "x")]}, FIELDS, at="rules")
    assert caught.value.field == "rules.all.0.field"


def test_as_much_as_is_allowed_can_be_used() -> None:
    assert compile_predicate({"all": [nested(1)] * 100}, FIELDS).matches(CONTEXT)
    assert compile_predicate(nested(8), FIELDS).explain(CONTEXT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ODD = JSON | st.sampled_from(["2026-11-20", "19.90", NOW, Decimal("1.5"), Decimal("sNaN"), ["vip"], 10**400])


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    field, op = draw(st.sampled_from(EVERY_QUESTION))
    return ask(field, op, *usual_value(FIELDS[field], op))


DOCUMENTS = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=4,
)
CONTEXTS = st.fixed_dictionaries(
    {}, optional={"order": st.fixed_dictionaries({}, optional=dict.fromkeys(ORDER, ODD)) | ODD, "now": ODD}
)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, CONTEXTS)
def test_whatever_the_context_holds_a_predicate_answers_and_not_is_the_opposite(document: Any, context: Any) -> None:
    try:
        predicate = compile_predicate(document, FIELDS)
        opposite = compile_predicate({"not": document}, FIELDS)
    except InvalidInput as error:
        assert "levels deep" in error.message  # noqa: PT017
        return
    answer = predicate.matches(context)
    assert answer in (True, False)
    assert opposite.matches(context) is not answer
    assert all(predicate.explain(context))
    assert predicate.matches(context) is answer


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(EVERY_QUESTION), CONTEXTS)
def test_the_negative_operators_are_the_opposite_of_their_counterparts(question: Any, context: Any) -> None:
    field, op = question
    counterpart = {"not_equals": "equals", "not_in": "in", "not_contains": "contains", "is_missing": "is_present"}
    if op in counterpart:
        value = usual_value(FIELDS[field], op)
        assert held(field, op, *value, context=context) is not held(field, counterpart[op], *value, context=context)


@settings(max_examples=150, deadline=None)
@given(
    JSON
    | st.builds(
        ask, st.sampled_from([*FIELDS, "x"]), st.sampled_from([*OPERATORS, "x"]) | JSON, JSON | st.just("2026-11-20")
    )
    | DOCUMENTS
)
def test_no_document_raises_anything_but_invalid_input(document: Any) -> None:
    with suppress(InvalidInput):
        compile_predicate(document, FIELDS)


def test_a_hundred_thousand_contacts_are_asked_in_a_moment() -> None:
    predicate = compile_predicate({"all": [ask("order.total", ">=", 5), ask("order.count", "<", 9)]}, FIELDS)
    started = time.perf_counter()
    assert all(predicate.matches(CONTEXT) for _ in range(100_000))
    assert time.perf_counter() - started < 5
