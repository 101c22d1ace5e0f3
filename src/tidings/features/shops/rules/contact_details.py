"""Names, mail addresses and numbers as buyers, tills and other programs fill them in: what of it can be used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from tidings.errors import InvalidInput
from tidings.features.shops.rules import reading
from tidings.messages.contacts.names import words_of
from tidings.messages.contacts.numbers.phones import is_mobile, parse_phone
from tidings.messages.contacts.placeholders import is_placeholder

_MAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+")
_NO_MAILBOX = frozenset((
    "noemail", "nomail", "noreply", "donotreply", "nobody", "anonymous", "guest", "keinemail",
    "sincorreo", "sinemail", "sinmail", "pasdemail", "pasdemel", "sememail", "senzaemail", "notgiven",
))  # fmt: skip
"""What stands before the @ of addresses that are typed where there is none; many people share them."""

CONSENTED = "consent"
"""The place of a number that came with consent to texts."""

_SEPARATORS = re.compile(r"[/;,|\n]|\s(?:or|and|oder|und|ou|o|y)\s", re.IGNORECASE)
_LONGEST_NUMBER = 100
_KEYS_IN_A_ROW = "01234567890123456789"
_FEWEST_FILLED_IN = 6


def usable_name(value: Any) -> str | None:
    """A given or family name; None for what is none, such as a dot, null, a number, a mail address or Customer."""
    name = reading.text(value, 100)
    if name is None or is_placeholder(name) or not any(letter.isalpha() for letter in name):
        return None
    return name if words_of(name) else None


def usable_email(value: Any) -> str | None:
    """A mail address, out of `Mara <mara@example.com>` as well; None for one that stands for no address."""
    found = _MAIL.search(reading.text(value) or "")
    if found is None:
        return None
    address = found[0].removeprefix("mailto:").strip("\"'()[]")
    mailbox, _, host = address.partition("@")
    said = re.sub(r"[\W_]+", "", mailbox).lower()
    if said in _NO_MAILBOX or is_placeholder(mailbox) or is_placeholder(host.partition(".")[0]):
        return None
    return address


@dataclass(frozen=True, slots=True)
class WrittenPhone:
    """A number as somebody wrote it, where it stands, and the country of the address that it stands in.

    `is_own`: it is the buyer's; a parcel may go to a friend.
    """

    text: str
    place: str
    country: str | None = None
    is_own: bool = True


@dataclass(frozen=True, slots=True)
class PickedPhone:
    """The number to write to (E.164), what was written, and the places of numbers that nobody can have."""

    number: str | None
    written: WrittenPhone | None
    unusable: tuple[str, ...]


def written_phone(value: Any, place: str, country: str | None = None, *, is_own: bool = True) -> WrittenPhone | None:
    """A number that may be one; None where there is nothing, or a word that means so."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = reading.text(value, _LONGEST_NUMBER)
    if text is None or is_placeholder(text):
        return None
    return WrittenPhone(text, place, country, is_own)


def pick_phone(written: Sequence[WrittenPhone], regions: Iterable[str | None]) -> PickedPhone:
    """The first number that can exist, read in the country of its own address, then in `regions`.

    One that consent was given for goes first, the buyer's own go before a parcel's, and mobiles before landlines,
    which no SMS reaches in most countries. The number before an extension, and the first of two in one field, are
    taken where there is no other.
    """
    others = tuple(regions)
    found = [(one, _read(one.text, (one.country, *others))) for one in written]
    usable = [(one, number) for one, number in found if number is not None]
    unusable = tuple(one.place for one, number in found if number is None)
    if not usable:
        parts = ((one, _part(one.text, (one.country, *others))) for one in written)
        usable = [(one, number) for one, number in parts if number is not None]
    if not usable:
        return PickedPhone(None, None, unusable)
    one, number = min(usable, key=_rank)
    return PickedPhone(number, one, unusable)


def _rank(usable: tuple[WrittenPhone, str]) -> tuple[bool, bool, bool]:
    one, number = usable
    return one.place != CONSENTED, not one.is_own, is_mobile(number) is False


def _read(text: str, regions: Sequence[str | None]) -> str | None:
    for region in dict.fromkeys(filter(None, regions)):
        try:
            number = parse_phone(text, region)
        except InvalidInput:
            continue
        return None if _is_filled_in(number) else number
    return None


def _part(text: str, regions: Sequence[str | None]) -> str | None:
    for region in filter(None, regions):
        for part in _SEPARATORS.split(text):
            try:
                number = phonenumbers.parse(part, region)
            except NumberParseException:
                continue
            number.extension = None
            if whole := _read(phonenumbers.format_number(number, PhoneNumberFormat.E164), [region]):
                return whole
    return None


def _is_filled_in(e164: str) -> bool:
    """Whether a number only fills its field: one digit again and again, or the keys in a row."""
    national = phonenumbers.national_significant_number(phonenumbers.parse(e164))
    if len(national) < _FEWEST_FILLED_IN:
        return False
    keys = (_KEYS_IN_A_ROW, _KEYS_IN_A_ROW[::-1])
    return len(set(national)) == 1 or any(digits in row for digits in (national, e164[1:]) for row in keys)
