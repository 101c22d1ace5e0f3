"""Liquid texts: what authors may write, what they are told, and that no template can do harm."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import TemplateError
from tidings.messages.text.templates import FILTERS, MAX_TEXT, TAGS, Sandbox, check, render

VARIABLES = {
    "first_name": "Anna",
    "company": None,
    "session": {"title": "Slate roofs", "tags": ["a", "b"]},
    "agenda": [{"time": "09:00", "title": "Slate roofs"}, {"time": "10:00", "title": "Gutters", "room": "Blue"}],
    "html": "<b>Müller & Söhne</b>",
    "evil": "{{ first_name }}",
    "many": list(range(100)),
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Hi {{ first_name }}!", "Hi Anna!"),
        ("Hi {{ first_name | upcase }}{% if company %} of {{ company }}{% endif %}", "Hi ANNA"),
        ("at {{ company }}.", "at ."),
        ("{{ session.title }}, {{ session.tags | join: '+' }}", "Slate roofs, a+b"),
        (
            "{% for slot in agenda %}{{ slot.time }} {{ slot.title }}\n{% endfor %}",
            "09:00 Slate roofs\n10:00 Gutters",
        ),
        ("{% for slot in agenda %}{% if slot.room %}{{ slot.room }}{% endif %}{% endfor %}", "Blue"),
        ("{% assign who = first_name | downcase %}{{ who }}", "anna"),
        ("{{ '2025-10-17T19:07:00' | date: '%H:%M' }}", "19:07"),
        ("{% raw %}{{ untouched }}{% endraw %}", "{{ untouched }}"),
        ("  kept \n\n  ", "  kept"),
        ("{{ html }}", "<b>Müller & Söhne</b>"),
        ("{{ evil }}", "{{ first_name }}"),
        ("", ""),
    ],
)
def test_liquid_is_rendered_as_plain_text(source, text):
    assert render(source, VARIABLES) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% if sponsor %}Visit {{ sponsor }}{% else %}Have a coffee{% endif %}", "Have a coffee"),
        ("{% unless sponsor %}Have a coffee{% endunless %}", "Have a coffee"),
        ("{{ sponsor | default: 'our sponsor' }}", "our sponsor"),
        ("{% if session.room %}in {{ session.room }}{% endif %}.", "."),
    ],
)
def test_a_missing_name_may_be_asked_for_and_may_have_a_default(source, text):
    assert render(source, VARIABLES) == text


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("{{ session_titel }}", "session_titel"),
        ("{{ session_titel | upcase }}", "session_titel"),
        ("{{ first_name | append: session_titel }}", "session_titel"),
        ("{{ session_titel | plus: 1 }}", "session_titel"),
        ("{{ session_titel | date: '%H' }}", "session_titel"),
        ("{{ session_titel | size }}", "session_titel"),
        ("{% assign title = session_titel %}{{ title }}", "session_titel"),
        ("{% for slot in session_titel %}x{% endfor %}", "session_titel"),
        ("{{ session.titel }}", "session.titel"),
        ("{% for slot in agenda %}{{ slot.titel }}{% endfor %}", "slot.titel"),
        ("{{ agenda[7] }}", "agenda[…]"),
        ("{{ now }}", "now"),
        ("{{ partial }}", "partial"),
    ],
)
def test_a_missing_name_that_is_needed_is_an_error_that_names_it(source, name):
    with pytest.raises(TemplateError) as caught:
        render(source, VARIABLES)
    assert caught.value.variable == name
    assert str(caught.value).startswith(f"the template uses '{name}', which this message does not have; it has: ")


def test_the_error_lists_the_names_that_there_are():
    with pytest.raises(TemplateError, match=r"it has: first_name, session_title$"):
        render("{{ session_titel }}", {"session_title": "Slate roofs", "first_name": "Anna"})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("Hi\n{{ first_name", "on line 2: {{ has no }}"),
        ("Hi {% if first_name", "on line 1: {% has no %}"),
        ("Hi\n\n{% endif %}", "on line 3: unexpected tag 'endif'"),
        ("Hi\n{{ first_name | shout }}", "on line 2: there is no filter 'shout'"),
        ("{% include 'secrets' %}", "on line 1: unexpected tag 'include'"),
        ("{% render 'secrets' %}", "on line 1: unexpected tag 'render'"),
        ("\n{% for i in (1..1000000000) %}{% endfor %}", "on line 2: ranges like (1..5) cannot be used"),
        ("{% assign all = (1..1000000000) %}{{ all | join }}", "ranges like (1..5) cannot be used"),
        ("x" * 10_001, "it has 10,001 characters; at most 10,000"),
    ],
)
def test_a_malformed_template_is_refused_with_the_line_of_its_mistake(source, said):
    for attempt in (lambda: render(source, VARIABLES), lambda: check(source, VARIABLES)):
        with pytest.raises(TemplateError) as caught:
            attempt()
        assert said in str(caught.value)
        assert caught.value.variable is None


@pytest.mark.parametrize(
    "source",
    [
        "{{ 1 | divided_by: 0 }}",
        "{{ 'inf' | floor }}",
        "{% if first_name < 1 %}{% endif %}",
        "{{ agenda | sort }}",
        "{{ many | where: 'x' }}",
        "{{ first_name | date: '%H' }}",
        "{{ first_name | truncate: 'x', 1, 2, 3 }}",
        "{% break %}",
    ],
)
def test_whatever_fails_while_rendering_is_a_template_error_with_its_line(source):
    with pytest.raises(TemplateError, match="on line 2"):
        render("Hi\n" + source, VARIABLES)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in many %}{% for b in many %}{% for c in many %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in many %}" + "{{ many }}" * 500 + "{% endfor %}",
        "{% assign s = 'aaaaaaaaaa' %}{{ s" + " | replace: 'a', s" * 50 + " }}",
        "{% assign s = 'ab' %}{% for a in many %}{% assign s = s | append: s %}{% endfor %}",
        "{% assign l = many %}{% for a in many %}{% assign l = l | concat: l %}{% endfor %}",
        "{% assign n = 9 %}{% for a in many %}{% assign n = n | times: n %}{% endfor %}",
        "{% assign s = 'ab' %}" + "".join(f"{{% capture s %}}{'{{ s }}' * 50}{{% endcapture %}}" for _ in range(20)),
        "{% if first_name %}" * 200 + "{% endif %}" * 200,
        "{% if " + "first_name and " * 600 + "first_name %}{% endif %}",
        "{{ " + "a[" * 3_000 + "a" + "]" * 3_000 + " }}",
        "{{" * 4_900,
        "{{" + " " * 9_900 + "}}",
        "{% raw %}" * 1_000,
        "{{ " + "(" * 9_900 + " }}",
    ],
)
def test_a_template_that_would_eat_up_the_machine_is_stopped(source):
    started = time.perf_counter()
    with pytest.raises(TemplateError) as caught:
        render(source, VARIABLES)
    assert "at most 10,000" not in str(caught.value)
    assert time.perf_counter() - started < 5


def test_a_text_may_be_long_but_not_endless():
    assert len(render("{{ text }}", {"text": "x" * MAX_TEXT})) == MAX_TEXT
    with pytest.raises(TemplateError):
        render("{{ text }}", {"text": "x" * (MAX_TEXT + 1)})


PIECES = (
    "{{ | }} | {% | %} | {%- | -%} | if | endif | else | for i in | endfor | assign x = | case | when",
    "cycle | capture | endcapture | x | many | agenda | session | first_name | é",
    "(1..3) | 0 | -1 | 1.5 | nil | < | == | contains",
)
LIQUID = st.lists(
    st.sampled_from(" | ".join(PIECES).split(" | ") + list("""|:,'"[].\n\ud800""") + sorted(TAGS | FILTERS)),
    max_size=25,
).map(" ".join)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(LIQUID, DATA)
def test_no_template_raises_anything_but_a_template_error(source, value):
    for attempt in (lambda: render(source, VARIABLES | {"x": value}), lambda: check(source, VARIABLES)):
        with suppress(TemplateError):
            attempt()


@settings(deadline=None)
@given(st.sampled_from(sorted(FILTERS)), DATA, st.lists(DATA, max_size=3))
def test_no_filter_raises_anything_but_a_template_error(name, value, arguments):
    names = {f"v{number}": argument for number, argument in enumerate(arguments)}
    with suppress(TemplateError):
        render(f"{{{{ x | {name}{': ' if names else ''}{', '.join(names)} }}}}", names | {"x": value})


def test_checking_finds_a_misspelt_name_even_where_it_would_go_unnoticed():
    with pytest.raises(TemplateError) as caught:
        check("{% if sponsor_nam %}Visit us{% endif %}", {"sponsor_name"})
    assert caught.value.variable == "sponsor_nam"
    assert "it has: sponsor_name" in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ first_name }}",
        "{% for slot in agenda %}{{ slot.time }}{% unless forloop.last %}, {% endunless %}{% endfor %}",
        "{% assign who = first_name %}{{ who }}",
        "{% capture who %}{{ first_name }}{% endcapture %}{{ who }}",
    ],
)
def test_checking_accepts_known_names_and_those_that_the_template_makes_itself(source):
    check(source, {"first_name", "agenda"})


NAMES = {
    "first_name",
    "hints",
    "order.name",
    "order.total",
    "order.tags",
    "order.buyer.city",
    "order.line_items[].title",
    "order.line_items[].parts[].name",
}
"""What a caller with a schema knows: `hints` may have anything in it, `order` only what is listed."""


@pytest.mark.parametrize(
    "source",
    [
        "{{ first_name }} {{ order.name }} {{ order.buyer.city }}",
        "{{ hints }} {{ hints.anything.at.all }} {{ hints[0].x }}",
        "{{ order }} {{ order.buyer }} {{ order.tags | join: ', ' }} {{ order.tags.size }} {{ order.tags.first }}",
        "{{ order['name'] }} {{ order[first_name].x }} {{ order[hints.key] }}",
        "{% for item in order.line_items %}{{ item.title }} {{ forloop.index }}{% endfor %}",
        "{% for item in order.line_items %}{% for part in item.parts %}{{ part.name }}{% endfor %}{% endfor %}",
        "{{ order.line_items[0].title }} {{ order.line_items.last.parts[1].name }}",
        "{{ order.line_items.first.title }} {% for item in order.line_items limit: order.total %}x{% endfor %}",
        "{% for tag in order.tags %}{{ tag }}{% endfor %}",
        "{% for hint in hints %}{{ hint.anything }}{% endfor %}",
        "{% assign buyer = order.buyer %}{{ buyer.anything }}",
        "{% assign items = order.line_items | reverse %}{% for item in items %}{{ item.anything }}{% endfor %}",
        "{% capture order %}x{% endcapture %}{{ order.anything }}",
    ],
)
def test_checking_accepts_what_a_schema_has(source: str) -> None:
    check(source, NAMES)


@every_case(
    ("source", "name", "instead"),
    [
        (
            "{{ order.nonsense }}",
            "order.nonsense",
            "order.buyer, order.line_items, order.name, order.tags, order.total",
        ),
        ("{{ order['nonsense'] | upcase }}", "order.nonsense", "order.buyer"),
        ("{% if order.totl > 5 %}x{% endif %}", "order.totl", "order.buyer"),
        ("{% if first_name and order.totl %}x{% endif %}", "order.totl", "order.buyer"),
        ("{{ first_name | append: order.nam }}", "order.nam", "order.buyer"),
        ("{{ hints[order.nam] }}", "order.nam", "order.buyer"),
        ("{{ order.buyer.town }}", "order.buyer.town", "it has: order.buyer.city"),
        ("{{ order.name.first_part }}", "order.name.first_part", "it has: order.name"),
        ("{{ ordr.name }}", "ordr", "it has: first_name, hints, order"),
        ("{% for item in order.line_items %}{{ item.titel }}{% endfor %}", "item.titel", "item.parts, item.title"),
        (
            "{% for i in order.line_items %}{% for p in i.parts %}{{ p.nam }}{% endfor %}{% endfor %}",
            "p.nam",
            "it has: p.name",
        ),
        ("{% for item in order.lines %}x{% endfor %}", "order.lines", "order.line_items"),
        ("{{ order.line_items[0].titel }}", "order.line_items[…].titel", "order.line_items[…].title"),
        ("{{ order.line_items.first.titel }}", "order.line_items[…].titel", "order.line_items[…].title"),
        ("{% for item in hints %}x{% endfor %}{{ item.title }}", "item", "it has: first_name"),
        ("{{ later }}{% assign later = 1 %}", "later", "it has: first_name"),
    ],
)
def test_checking_finds_a_name_that_a_schema_has_not(source: str, name: str, instead: str) -> None:
    with pytest.raises(TemplateError) as caught:
        check(source, NAMES)
    assert caught.value.variable == name
    assert instead in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(LIQUID)
def test_checking_with_a_schema_raises_nothing_but_a_template_error(source: str) -> None:
    with suppress(TemplateError):
        check(source, {"many[].x", "session.title", "first_name"})


def greet(variables: Mapping[str, Any], value: object, mark: object = "!") -> str:
    if value == "nobody":
        raise ValueError("nobody cannot be greeted")
    return f"{variables['greeting']} {value}{mark}" * int(variables.get("times", 1))


POLITE = Sandbox({"greet": greet})


def test_a_sandbox_knows_filters_of_its_caller_beside_the_usual_ones() -> None:
    source = "{{ name | upcase | greet }} {{ name | greet: '?' | downcase }}"
    assert POLITE.render(source, {"name": "Anna", "greeting": "Hello"}) == "Hello ANNA! hello anna?"
    POLITE.check(source, {"name"})


def test_the_filters_of_one_sandbox_are_unknown_to_another() -> None:
    for attempt in (lambda: render("{{ 'x' | greet }}", {}), lambda: check("{{ 'x' | greet }}", {})):
        with pytest.raises(TemplateError, match="there is no filter 'greet'"):
            attempt()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ 'nobody' | greet }}", "greet: nobody cannot be greeted"),
        ("{{ name | greet }}", "uses 'name', which this message does not have"),
        ("{{ 'x' | greet: name }}", "uses 'name', which this message does not have"),
        ("{{ 'x' | greet: 1, 2, 3 }}", "on line 1"),
    ],
)
def test_what_goes_wrong_in_an_extra_filter_is_a_template_error(source: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        POLITE.render(source, {"greeting": "Hello"})
    assert said in str(caught.value)


def test_an_extra_filter_cannot_make_a_text_without_end() -> None:
    with pytest.raises(TemplateError, match="greet: the result is too big"):
        POLITE.render("{{ 'x' | greet }}", {"greeting": "Hello", "times": MAX_TEXT})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ price }}", "49.90"),
        ("{{ price | times: 2 }}", "99.8"),
        ("{{ 0.2 | plus: price }}", "50.1"),
        ("{{ price | minus: price }}", "0.0"),
        ("{{ price | round }}", "50"),
        ("{{ price | default: 'free' }}", "49.90"),
        ("{% if price > 49 and price < 50 %}cheap{% endif %}", "cheap"),
    ],
)
def test_decimals_are_reckoned_with_exactly(source: str, text: str) -> None:
    assert render(source, {"price": Decimal("49.90")}) == text
