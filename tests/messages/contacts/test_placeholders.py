"""Words that mean that there is nothing."""

from __future__ import annotations

import pytest

from support.cases import every_case
from tidings.messages.contacts.placeholders import PLACEHOLDERS, is_placeholder

NOTHING = (
    *("", " ", "-", "--", "—", ".", "...", "?", "+", "/", "0", "000", "000-000-0000", "0.0", "N/A", "n.a.", "n/a "),
    *("#N/A", "NULL", "null", "(null)", "<null>", "None", "none.", "undefined", "NaN", "Unknown", "x", "XXX", "k.A."),
    *("keine Angabe", "not available", "no phone", "TBA", "ｎｕｌｌ", "\u200b"),
)
SOMETHING = ("Ada", "Null Island", "7", "10", "+49 151", "Bo", "李", "n", "Nora", "Annan", "xylophone", "0x")


@every_case("text", NOTHING)
def test_it_says_nothing(text: str) -> None:
    assert is_placeholder(text)


@every_case("text", SOMETHING)
def test_it_says_something(text: str) -> None:
    assert not is_placeholder(text)


@pytest.mark.parametrize("word", sorted(PLACEHOLDERS))
def test_every_word_is_written_as_it_is_compared(word: str) -> None:
    assert is_placeholder(word)
    assert word.isalpha()
    assert word == word.casefold()
