"""The quick way through a template says what Liquid says: the same text, or the same mistake."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from liquid import BoundTemplate

from support.cases import every_case
from tidings.errors import TemplateError
from tidings.features.events.rules.texts import TEMPLATES
from tidings.messages.text import templates
from tidings.messages.text.templates import FILTERS, MAX_ITEMS, MAX_TEXT, Sandbox

QUICK = Sandbox()
LIQUID = Sandbox()  # only ever used by `by_liquid`, so what it compiled has no quick way

VARIABLES: dict[str, Any] = {
    "first_name": "Anna",
    "company": None,
    "spaces": " ",
    "session": {"title": "Slate roofs", "room": None, "size": "large", "tags": ["a", "b"]},
    "agenda": [{"title": "Slate roofs", "room": "Blue"}, {"title": "Gutters"}, {"title": None, "room": "Red"}],
    "nobody": [],
    "some": list(range(30)),
    "many": list(range(MAX_ITEMS + 1)),
    "number": 7,
    "half": 0.5,
    "price": Decimal("49.90"),
    "yes": True,
    "no": False,
    "umlauts": "Müller\r\n",
    "lone": "\ud800",
    "long": "y" * (MAX_TEXT // 2 + 1),
    "forloop": "mine",
}
PLAIN_NAMES = [
    *("first_name", "number", "session.title", "session.room", "company", "spaces", "price", "yes", "no", "x"),
    *("slot", "slot.title", "slot.room", "slot.missing", "missing", "session.missing", "x.a", "x.a.b", "nobody"),
]
NAMES = [
    *(*VARIABLES, *PLAIN_NAMES, "session.title.deeper", "session.size", "session.tags.first", "agenda.size"),
    *("agenda[1].title", "session[first_name]", "company.missing", "missing.more", "forloop.index", "forloop.last"),
]
LITERALS = ["'there'", '"é"', "''", "5", "-1", "0.5", "true", "false", "nil", "'%H:%M'"]
USUAL = [
    *("upcase", "truncate: 9", "default: 'there'", "default: first_name", "append: first_name", "default"),
    *("truncate: number, '.'", "replace: 'a', first_name", "plus: number", "date: '%H:%M'"),
]
WORDS = ["Hi ", " ", "\n", ", ", "é", "<b>", "  \t", "{{ first_name }}", "{{- number -}}"]
ODD_WORDS = [
    "\r",
    "\r\n",
    "\ud800",
    *(f"{{% {tag} %}}" for tag in ("assign x = company", "cycle 'a', 'b'", "echo x")),
]
WAYS_OUT = ["{% break %}", "{% continue %}", "{% # x %}"]

name = st.sampled_from(PLAIN_NAMES[:10] * 20 + NAMES)
argument = st.sampled_from(LITERALS * 5 + NAMES)
any_filter = st.builds(
    lambda one, arguments: f"{one}: {', '.join(arguments)}" if arguments else one,
    *(st.sampled_from(sorted(FILTERS)), st.lists(argument, max_size=2)),
)
forgiven = st.builds("{} | default: {}{}".format, name, argument, st.sampled_from([""] * 9 + [", allow_false: true"]))


def outputs(used: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    first = st.one_of(name, forgiven, st.sampled_from(LITERALS))
    return st.builds(
        lambda value, calls: f"{{{{ {' | '.join([value, *calls])} }}}}", first, st.lists(used, max_size=2)
    )


def sources(pieces: st.SearchStrategy[str], condition: st.SearchStrategy[str], loops: list[str]) -> Any:
    items = st.sampled_from(
        ["agenda"] * 8 + ["some", "many", "nobody", "session.tags", "x", "slot", "number", "missing"]
    )
    loop = st.builds(
        "{} in {}{}".format, st.sampled_from(["slot", "slot", "x", "agenda"]), items, st.sampled_from(loops)
    )

    def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        otherwise = st.one_of(st.just(""), st.builds("{{% else %}}{}".format, inner))
        others = st.one_of(st.just(""), st.builds("{{% elsif {} %}}{}".format, condition, inner))
        return st.one_of(
            st.builds("{{% if {} %}}{}{}{}{{% endif %}}".format, condition, inner, others, otherwise),
            st.builds("{{% unless {} %}}{}{}{}{{% endunless %}}".format, condition, inner, others, otherwise),
            st.builds("{{% for {} %}}{}{}{{% endfor %}}".format, loop, inner, otherwise),
            st.lists(inner, max_size=4).map("".join),
        )

    return st.lists(st.recursive(pieces, blocks, max_leaves=12), max_size=4).map("".join)


PLAIN = sources(
    st.one_of(outputs(st.sampled_from(USUAL)), st.sampled_from(WORDS)), st.sampled_from(PLAIN_NAMES), [""]
)
"""Templates that have a quick way."""

RICH = sources(
    st.one_of(outputs(st.one_of(any_filter, st.sampled_from(USUAL))), st.sampled_from(WORDS + ODD_WORDS + WAYS_OUT)),
    st.one_of(
        st.sampled_from([*NAMES, *LITERALS]),
        st.builds("{} and {}".format, name, name),
        st.builds("{} == {}".format, name, argument),
    ),
    ["", "", " limit: 1", " offset: 1", " offset: continue", " reversed"],
)
"""Templates that have something, most of them, which is left to Liquid."""

TEMPLATE = st.one_of(PLAIN, RICH)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "size"]), inner),
    max_leaves=6,
)


def outcome(sandbox: Sandbox, source: str, variables: dict[str, Any]) -> tuple[str, str | None]:
    try:
        return sandbox.render(source, variables), None
    except TemplateError as error:
        return str(error), error.variable or "a mistake"


def by_liquid(source: str, variables: dict[str, Any]) -> tuple[str, str | None]:
    with patch.object(templates, "quick", return_value=None):
        return outcome(LIQUID, source, variables)


@settings(deadline=None)
@given(TEMPLATE, DATA)
def test_every_template_gives_what_liquid_gives(source: str, value: Any) -> None:
    variables = VARIABLES | {"x": value}
    before = repr(variables)
    assert outcome(QUICK, source, variables) == by_liquid(source, variables)
    assert repr(variables) == before


@every_case(
    ("source", "value"),
    [
        ("{% if company %} {% else %}\n{% endif %}{% for slot in agenda %} {% endfor %}", None),
        ("{% if company %} {% elsif yes %} {% else %}no{% endif %}", None),
        ("{% unless company %} {% endunless %}{% if no %}{% elsif number %}{{ number }}{% endif %}", None),
        ("{% if yes %}{% for slot in missing %} {% endfor %}{% endif %}", None),
        ("{% for agenda in agenda %}{{ agenda.title | default: 'none' }} {% endfor %}{{ agenda[0].title }}", None),
        ("{% for slot in agenda %}{{ forloop }} {{ forloop.index }}{% endfor %}{{ forloop }}", None),
        ("{% for slot in agenda %}{{ forloop }}{% endfor %}{{ forloop }}", None),
        ("{% for slot in some reversed %}{{ slot }}{% endfor %}", None),
        ("{% for slot in some limit: 2 %}{{ slot }}{% endfor %}", None),
        ("{% for slot in some offset: 2 %}{{ slot }}{% endfor %}", None),
        *(
            ("{% for slot in x %}{{ slot }}{% else %}none{% endfor %}", x)
            for x in ("ab", "", {"a": 1}, (1, 2), 5, None)
        ),
        *(("{% if x %}yes{% endif %}{% unless x %}no{% endunless %}{{ x }}", x) for x in (0, "", [], {}, 0.0, False)),
        *(("{{ x | default: 'there' }}", x) for x in (0, "", [], {}, 0.0, False, Decimal(0))),
        (
            "{% if session.tags.size %}tags{% endif %}{{ session.tags.last | default: 'none' }}{{ session.size }}",
            None,
        ),
        ("{{ x.a | default: 'there' | upcase }}{{ x.a }}", {"a": float("nan")}),
        ("{{ no | default: 'there', allow_false: true }}", None),
        ("{{ first_name | replace: new: 'x', old: 'n' }}", None),
        ("{{ missing | upcase }}", None),
        ("{{ first_name | append: missing }}", None),
        *(("{{ x }}{{ first_name }}\n{{ x }}\n.", x) for x in ("a\rb", "a\r\nb", "a\r", "\r\n")),
        ("{{ umlauts }}{{ lone }}{{ missing }}", None),
        ("{{ x }}", [1, None, "a"]),
    ],
)
def test_what_liquid_has_rules_of_its_own_for_goes_by_them(source: str, value: Any) -> None:
    variables = VARIABLES | {"x": value}
    assert outcome(QUICK, source, variables) == by_liquid(source, variables)


@every_case(
    ("source", "variables"),
    [
        ("{{ x }}" * 50, {"x": "y" * 1_000}),
        ("{{ x }}" * 50 + ".", {"x": "y" * 1_000}),
        ("{{ x }}" * 50, {"x": "ü" * 500}),
        ("{{ x }}" * 50 + ".", {"x": "ü" * 500 + "yyy"}),
        ("{{ x }}" * 1_000, {"x": "ü" * 26}),
        ("{{ x }}", {"x": "y" * MAX_TEXT}),
        ("{{ x }}", {"x": "y" * MAX_TEXT + "y"}),
        ("\n\n{{ x }}{{ missing }}", {"x": "y" * MAX_TEXT + "y"}),
        ("{% for i in x %}{{ i }}{% endfor %}", {"x": ["y" * 50] * MAX_ITEMS}),
        ("{% for i in x %}{{ i }}{% endfor %}", {"x": ["y" * 51] * MAX_ITEMS}),
        ("{% for i in x %}.{% endfor %}", {"x": [1] * (MAX_ITEMS + 1)}),
        ("{% for i in x %}{% for j in x %}.{% endfor %}{% endfor %}", {"x": [1] * 31}),
        ("{% for i in x %}{% for j in x %}.{% endfor %}{% endfor %}", {"x": [1] * 32}),
        ("{% for i in x %}{% for j in i %}.{% endfor %}{% endfor %}", {"x": [[1] * 2] * 500}),
        ("{% for i in x %}{% for j in i %}.{% endfor %}{% endfor %}", {"x": [[1] * 3] * 500}),
        ("{{ x | append: x | append: x | truncate: 10 }}", {"x": "y" * 20_000}),
        ("{{ x }}", {"x": 10**4_000}),
        ("{% if x %}" * 80 + "deep" + "{% endif %}" * 80, {"x": True}),
    ],
)
def test_limits_are_those_of_liquid(source: str, variables: dict[str, Any]) -> None:
    assert outcome(QUICK, source, variables) == by_liquid(source, variables)


@every_case(
    "source",
    [
        *TEMPLATES.values(),
        "Hi {{ first_name }}, your session starts in 15 minutes",
        "Hi {{ customer.first_name | default: 'there' }}{% unless sold %}, {{ shop.name | upcase }}{% endunless %}",
    ],
)
def test_what_most_messages_are_made_of_goes_the_quick_way(source: str) -> None:
    names = (
        "first_name",
        "event_name",
        "event_date",
        "event_location",
        "start_time",
        "session_title",
        "session_time",
    )
    variables: dict[str, Any] = {
        **dict.fromkeys(names, "x"),
        "agenda": [{"time": "09:00", "title": "x"}, {"time": "10:00", "title": "x", "room": "x", "day": "Fri"}],
        "shop": {"name": "x"},
        "customer": {},
    }
    with patch.object(BoundTemplate, "render", side_effect=AssertionError("Liquid was asked")):
        assert Sandbox().render(source, variables)
