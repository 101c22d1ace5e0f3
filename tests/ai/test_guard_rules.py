"""Rules of the guard that hold for every text."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.briefs import CALL, ESTIMATE, EVENT, PLAIN, ROUTINE, SHOP
from support.cases import every_case
from tidings.ai.base import Brief
from tidings.ai.facts import facts_of
from tidings.ai.guard import check, clean, unsupported

BRIEFS = st.sampled_from([ESTIMATE, CALL, EVENT, SHOP, ROUTINE, PLAIN])

STATEMENTS = st.sampled_from(
    [
        "Ada", "Jean-Luc", "O'Brien's", "Zoë", "iPhone", "ACME", "Hall B", "Friday", "Mondays", "tomorrow",
        "next week", "Oct 17", "3 November 2026", "10/17/2025", "2025-10-17", "5 PM", "15:30", "noon",
        "half past two", "$1,200", "90 euros", "20%", "thirty minutes", "three", "1,000", "seventh",
        "twelve hundred", "B12", "INV-2025-001", "https://a.example/x?y=1", "b.example", "c@d.example",
        "+1 810 555 0123", "free", "the roof", "we meet", "slate",
    ]
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(statements=st.lists(STATEMENTS, min_size=1, max_size=8), data=st.data())
def test_what_the_template_states_may_be_stated_in_any_order_and_number(
    statements: list[str], data: st.DataObject
) -> None:
    """Whole statements, that is: "Oct 3 at 17" made of "Oct 17 at 3" is another date, and must not pass."""
    facts = facts_of(Brief("follow_up", "; ".join(statements), {}))
    said = data.draw(st.lists(st.sampled_from(statements), min_size=1, max_size=10))

    assert unsupported("; ".join(said), facts) is None


def places(text: str) -> list[int]:
    """Where a word can be put in: between two words that are set apart by a space, and at the end."""
    return [match.end() for match in re.finditer(r"[a-z] (?=[a-z])", text)] + [len(text)]


def absent(kind: str) -> st.SearchStrategy[str]:
    match kind:
        case "number":
            return st.integers(min_value=31, max_value=999).map(str)
        case "link":
            return st.from_regex(r"(https?://)?[a-z]{3,8}\.(com|org|example)(/[a-z]{1,5})?", fullmatch=True)
        case "weekday":
            return st.sampled_from(["Monday", "tuesday", "Wednesday", "THURSDAY", "Sundays", "Tue"])
        case _:
            return st.from_regex(r"[QX][a-z]{3,7}('s)?", fullmatch=True)


@pytest.mark.parametrize("kind", ["number", "link", "weekday", "name"])
@settings(max_examples=40, deadline=None)
@given(brief=BRIEFS, data=st.data())
def test_one_invention_anywhere_spoils_an_answer(kind: str, brief: Brief, data: st.DataObject) -> None:
    piece = data.draw(absent(kind))
    place = data.draw(st.sampled_from(places(brief.template)))

    answer = f"{brief.template[:place].rstrip()} {piece} {brief.template[place:]}".strip()

    assert unsupported(answer, facts_of(brief)) is not None
    assert check(answer, brief) is not None


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=200) | st.text("aA1 .,:-/'@$%[]{}*\n", max_size=200), brief=BRIEFS)
def test_every_text_gets_an_answer_or_a_sentence(text: str, brief: Brief) -> None:
    reason = check(clean(text), brief)

    assert reason is None or (reason and "\n" not in reason)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("-a" * 2000, id="hyphens"),
        pytest.param("a." * 2000, id="dots"),
        pytest.param("1 " * 2000, id="digits"),
        pytest.param("one hundred " * 330, id="number words"),
        pytest.param("Hi " * 1300, id="greetings"),
        pytest.param("a@" * 2000, id="mail addresses"),
        pytest.param("[" * 4000, id="brackets"),
        pytest.param("A " * 2000, id="capitals"),
        pytest.param("https://" * 500, id="schemes"),
        pytest.param(" " * 4000, id="spaces"),
    ],
)
@pytest.mark.timeout(5)
def test_no_text_and_no_fact_holds_the_guard_up(text: str) -> None:
    check(f"{text} x"[-4000:], PLAIN)
    unsupported(PLAIN.template, facts_of(replace(PLAIN, facts={"note": text})))


@every_case(
    ("facts", "answer", "passes"),
    [
        ({"amount": 250, "currency": "EUR"}, "It costs €250.", True),
        ({"amount": 250, "currency": "EUR"}, "It costs $250.", False),
        ({"amount": 250}, "It costs $250.", False),
        ({"price": "$250"}, "It costs 250 USD.", False),
        ({"price": "250 USD"}, "It costs $250.", True),
        ({"price": "250 CAD"}, "It costs US$250.", False),
        ({"price_usd": Decimal("250.00")}, "It costs $250.", True),
        ({"discount_percent": 20}, "You get 20%.", True),
        ({"people": 20}, "You get 20%.", False),
        ({"duration_minutes": 30}, "It takes thirty minutes.", True),
        ({"duration_minutes": 30}, "It takes 30 days.", False),
        ({"at": "2025-10-17T15:00:00+00:00"}, "It is on 17 October 2025 at 3 p.m.", True),
        ({"at": "2025-10-17T15:00:00Z"}, "It is in October.", True),
        ({"at": "2025-10-17T15:00:00Z"}, "It is at 3:00.", True),
        ({"at": "3:00"}, "It is at 3 PM.", False),
        ({"at": "10:30"}, "It is at 10:30 AM.", True),
        ({"at": "10:30"}, "It is at 10:30 PM.", False),
        ({"on": "10/11/2025"}, "It is on 10/11/2025.", True),
        ({"on": "10/11/2025"}, "It is on October 11.", False),
        ({"on": "Oct 17"}, "It is on Oct 17, 2027.", False),
        ({"on": "Feb 30"}, "It is on 30 February.", True),
        ({"hours": "3-4 PM"}, "It is from 3 to 4 PM.", True),
        ({"support": "24/7"}, "It is on July 24.", False),
        ({"link": "https://A.example/Path"}, "See a.example/Path", True),
        ({"link": "https://a.example/Path"}, "See https://a.example/path", False),
        ({"link": "https://a.example"}, "See http://a.example", False),
        ({"link": "https://ada.example"}, "Ask Ada.", False),
        ({"first_name": "ada", "last_name": "lovelace"}, "Ask Ada Lovelace.", True),
        ({"name": "Ada King Lovelace"}, "Ask Ada Lovelace.", True),
        ({"people": ["Ada Lovelace", "Grace Hopper"]}, "Ask Ada Hopper.", False),
        ({"note": "we will see"}, "Ask Will.", False),
        ({"note": "ask Will"}, "Ask Will.", True),
        ({"vip": True, "note": None}, "It is True.", False),
        ({"deep": {"er": [{"name": "Zoë"}]}}, "Ask Zoë’s team.", True),
    ],
)
def test_facts_are_values_of_any_depth_and_bear_out_only_what_they_say(
    facts: dict[str, object], answer: str, passes: bool
) -> None:
    assert (unsupported(answer.replace("’", "'"), facts_of(Brief("follow_up", "it is", facts))) is None) is passes


def test_hints_count_as_facts() -> None:
    brief = replace(PLAIN, hints={"met_at": "the fair in Paris"})

    assert unsupported("We met in Paris.", facts_of(PLAIN)) == "it says 'Paris', which is not among the facts"
    assert unsupported("We met in Paris.", facts_of(brief)) is None
