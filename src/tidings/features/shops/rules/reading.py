"""Reads single values of JSON from outside. Whatever cannot be read is None; nothing here raises."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_TEXT = 500
MAX_URL = 2_000
MAX_ITEMS = 250
"""Items of one list that are read. A Shopify order may have more lines; no text of theirs goes out."""

_AMOUNT_CHARACTERS = 40
_AMOUNT_DIGITS = 16
"""An amount with more digits before the point (or zeros behind it) is a mistake, and slow to reckon with."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_GID = re.compile(r"gid://[^/?]+/[^/?]+/([^/?]+)")
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC)


def text(value: Any, most: int = MAX_TEXT) -> str | None:
    """A text with something in it, at most `most` characters, without what no database text can hold."""
    if not isinstance(value, str):
        return None
    return _UNSTORABLE.sub("", value).strip()[:most].strip() or None


def url(value: Any) -> str | None:
    """A web address; one that is too long to be kept whole is none."""
    address = text(value, MAX_URL + 1)
    return address if address and len(address) <= MAX_URL and re.match("https?://", address, re.I) else None


def identifier(value: Any) -> str | None:
    """An id as text: 450789469, "450789469" and "gid://shopify/Order/450789469" are the same one."""
    if isinstance(value, float) and value.is_integer() and value < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value < 2**64 else None
    name = text(value, 255)
    match = _GID.match(name) if name else None
    return match[1] if match else name


def own_id(raw: Mapping[str, Any]) -> str | None:
    """The id of an object; one that has only GraphQL's name for itself is the same object."""
    found: str | None = first(identifier(raw.get("id")), identifier(raw.get("admin_graphql_api_id")))
    return found


def amount(value: Any) -> Decimal | None:
    """An amount in main units, exactly as it is written: "19.90" is Decimal("19.90")."""
    kind = type(value)
    if kind is Decimal:
        number = value
    elif (kind is str and len(value) <= _AMOUNT_CHARACTERS) or kind is int:
        try:
            number = Decimal(value)
        except (InvalidOperation, ValueError):
            return None
    elif kind is float:
        number = Decimal(repr(value))
    else:
        return None
    return number if number.is_finite() and -_AMOUNT_DIGITS < number.adjusted() < _AMOUNT_DIGITS else None


def currency(value: Any) -> str | None:
    """A currency's three letters (ISO 4217), in capitals."""
    code = text(value, 4)
    return code.upper() if code and len(code) == 3 and code.isascii() and code.isalpha() else None


def whole(value: Any) -> int | None:
    """A whole number."""
    number = amount(value)
    return int(number) if number is not None and number == number.to_integral_value() else None


def flag(value: Any) -> bool | None:
    """True or False and nothing that only looks like it."""
    return value if isinstance(value, bool) else None


def moment(value: Any) -> datetime | None:
    """A time with its offset, in UTC; one without an offset is read as UTC. Years 1970 to 2199."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware if _EARLIEST <= aware <= _LATEST else None
    except (OverflowError, ValueError):
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; an empty one where there is none."""
    return value if isinstance(value, Mapping) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    return [item for item in _items(value) if isinstance(item, Mapping)]


def words(value: Any) -> tuple[str, ...]:
    """The texts of a list, or of one text with commas: "vip, wholesale" as Shopify writes tags."""
    parts = value.split(",", MAX_ITEMS) if isinstance(value, str) else _items(value)
    return tuple(word for part in parts[:MAX_ITEMS] if (word := text(part)) is not None)


def first(*values: Any) -> Any:
    """The first value that there is."""
    return next((value for value in values if value is not None), None)


def _items(value: Any) -> Sequence[Any]:
    return value[:MAX_ITEMS] if isinstance(value, list | tuple) else ()
