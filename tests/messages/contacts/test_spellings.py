"""The ways to write one address."""

from __future__ import annotations

from support.cases import every_case
from tidings.messages.contacts.numbers.canonical import spellings_of


@every_case(
    "address, others",
    [
        ("+525512345678", {"+5215512345678"}),
        ("+5491123456789", {"+541123456789"}),
        ("+5511987654321", {"+551187654321"}),
        ("+2290161234567", {"+22961234567"}),
        ("+24162123456", {"+2412123456", "+24102123456"}),
        ("+18105550101", set()),
        ("ada@example.com", set()),
        ("DE.1234", set()),
    ],
)
def test_every_spelling_leads_back_to_the_same_address(address: str, others: set[str]) -> None:
    assert spellings_of(address) == {address, *others}
    for other in others:
        assert spellings_of(other) == spellings_of(address)
