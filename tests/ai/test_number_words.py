"""Numbers in words are read as what they count, and every reading knows where it stood."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.ai.number_words import with_digits


@every_case(
    ("text", "digits"),
    [
        ("two", "2"),
        ("Twelve hundred dollars", "1200 dollars"),
        ("twenty-five and thirty", "25 and 30"),
        ("one hundred and one", "101"),
        ("a hundred", "a 100"),
        ("two thousand and twenty five", "2025"),
        ("two hundred thousand", "200000"),
        ("one million two hundred thousand and three", "1200003"),
        ("3 million, 1.2 million", "3000000, 1200000"),
        ("five six", "5 6"),
        ("twenty eleven", "20 11"),
        ("October seventeenth, the twenty-first", "October 17th, the 21st"),
        ("second, third, twelfth, thirtieth", "2nd, 3rd, 12th, 30th"),
        ("in a second, one second", "in a second, 1 second"),
        ("one of them, no one, one hour, one dollar", "one of them, no one, 1 hour, 1 dollar"),
        ("someone, tense, often, sixpence, two_three", "someone, tense, often, sixpence, two_three"),
        ("1,200 and 3", "1,200 and 3"),
        ("hundreds", "hundreds"),
        ("", ""),
    ],
)
def test_number_words_become_digits(text: str, digits: str) -> None:
    assert with_digits(text).text == digits


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["two", "hundred", "and", "ten", "first", "12", "x", "-", " ", ", "]), max_size=12))
def test_every_place_is_one_of_the_original(pieces: list[str]) -> None:
    text = "".join(pieces)
    digits = with_digits(text)

    for index, character in enumerate(digits.text):
        start, end = digits.origin(index, index + 1)
        assert 0 <= start < end <= len(text)
        if not character.isalnum():
            assert text[start:end] == character
