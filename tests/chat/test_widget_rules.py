"""The rules of widgets that need no database: who may hold a widget, and how much may come from one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.features.chat.rules.throttle import Bucket, Places
from tidings.features.chat.widget.look import WidgetLook, holders, may_hold
from tidings.features.chat.widget.page import ink_on, read_page

HOST = "chat.example:8000"


@pytest.mark.parametrize(
    ("origin", "allowed", "may"),
    [
        ("https://shop.example", ["https://shop.example"], True),
        ("https://shop.example", [], False),
        ("https://shop.example.evil.example", ["https://shop.example"], False),
        ("http://shop.example", ["https://shop.example"], False),
        ("http://chat.example:8000", [], True),
        ("https://chat.example:8000", [], True),
        ("https://chat.example", [], False),
        ("null", ["https://shop.example"], False),
        ("", [], False),
        (None, ["https://shop.example"], False),
        ("http://[::1", [], False),
    ],
)
def test_a_page_may_talk_to_the_widget_when_it_is_allowed_or_the_widgets_own(
    origin: str | None, allowed: list[str], may: bool
) -> None:
    assert may_hold(allowed, origin, HOST) is may


def test_what_is_no_origin_never_gets_into_the_policy() -> None:
    good = ["https://shop.example", "http://localhost:3000", "https://[::1]:8443"]
    bad = ["https://a;script-src *", "https://a.example;sandbox", "*", "'unsafe-inline'", "https://a.example/path"]
    assert holders([*good, *bad]) == " ".join(["'self'", *good])
    assert read_page().policy_for(bad).endswith("frame-ancestors 'self'")


def test_a_look_that_cannot_be_used_has_its_defaults_and_the_rest_stays() -> None:
    look = WidgetLook.stored({"title": "Shop", "color": "red; }", "greeting": 5, "unknown": 1})
    assert (look.title, look.color, look.greeting) == ("Shop", None, None)
    assert WidgetLook.stored(None) == WidgetLook.stored([]) == WidgetLook()


@given(st.integers(0, 0xFFFFFF))
@settings(max_examples=50)
def test_words_on_the_chosen_colour_are_readable(color: int) -> None:
    assert ink_on(f"#{color:06x}") in ("#ffffff", "#111111")
    assert (ink_on("#000000"), ink_on("#ffffff"), ink_on("#1f5fbf")) == ("#ffffff", "#111111", "#ffffff")


@given(st.lists(st.floats(0, 5), max_size=100))
@settings(max_examples=100)
def test_a_bucket_never_gives_more_than_its_burst_and_its_rate(pauses: list[float]) -> None:
    now = 0.0
    bucket = Bucket(5, 0.5, lambda: now)
    given_out = 0
    for pause in pauses:
        now += pause
        given_out += bucket.take()
        assert given_out <= 5 + now * 0.5 + 1e-6


def test_places_are_given_back_and_counted_for_each_name() -> None:
    places = Places(3, 2)
    with places.taken("a") as first, places.taken("a") as second, places.taken("a") as third:
        assert (first, second, third) == (True, True, False)
        with places.taken("b") as fourth, places.taken("c") as fifth:
            assert (fourth, fifth) == (True, False)
    with places.taken("a") as again:
        assert again is True
