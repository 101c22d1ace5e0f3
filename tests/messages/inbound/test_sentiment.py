from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.messages.inbound.sentiment import sentiment_of

FRAGMENTS = ["not", "good", "bad", "but", ":(", "very", "LOVE", "!!!", "😍", "kind", "of"]


@pytest.mark.parametrize(
    "text",
    [
        "I loved it!",
        "Thanks!",
        "great speaker",
        "😍",
        "Not bad at all",
        "The food was awful but the talks were fantastic",
        "best night ever :)",
    ],
)
def test_praise_is_above_zero(text: str) -> None:
    assert sentiment_of(text) > 0.05


@pytest.mark.parametrize(
    "text",
    [
        "It was terrible",
        "not good",
        "worst event ever",
        "great speaker but the food was awful",
        "I hated the room",
        "so disappointed :(",
    ],
)
def test_complaint_is_below_zero(text: str) -> None:
    assert sentiment_of(text) < -0.05


@pytest.mark.parametrize("text", ["", "  ", "See you at 3pm", "Which room?", "8", "\ud800", "…"])
def test_what_says_nothing_is_zero(text: str) -> None:
    assert sentiment_of(text) == 0.0


def test_a_curly_apostrophe_negates_like_a_straight_one() -> None:
    assert sentiment_of("I don’t like it") == sentiment_of("I don't like it") < 0


def test_shouting_says_more_than_speaking() -> None:
    assert sentiment_of("it was GREAT!!!") > sentiment_of("it was great")


@settings(max_examples=100, deadline=None)
@given(text=st.text() | st.lists(st.sampled_from(FRAGMENTS)).map(" ".join))
def test_any_text_has_a_score_of_four_decimals(text: str) -> None:
    score = sentiment_of(text)
    assert -1.0 <= score <= 1.0
    assert score == round(score, 4)


def test_a_text_of_ten_thousand_characters_is_read_in_a_moment() -> None:
    sentiment_of("loads the lexicon")
    began = time.process_time()
    sentiment_of(("bad but " * 10_000)[:10_000])
    assert time.process_time() - began < 1.0
