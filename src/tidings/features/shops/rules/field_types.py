"""The types of fields that conditions ask for: how their values are read, compared and shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from tidings.features.shops.rules import reading

_LISTED = 5
_SHOWN = 60


class FieldType(StrEnum):
    """What a field holds."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    BOOLEAN = "boolean"
    DATE = "date"
    LIST = "list"


def folded(value: Any) -> str | None:
    """A text (or a number as text) as it is compared; None when it is blank."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 2**64 else None
    if not isinstance(value, str):
        return None
    if not value.isascii():
        value = unicodedata.normalize("NFC", value)
    return value.strip().casefold() or None


def _folded_words(value: Any) -> set[str | None] | None:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple | set | frozenset):
        return None
    words = {folded(item) for item in value}
    words.discard(None)
    return words or None


READERS: dict[FieldType, Callable[[Any], Any]] = {
    FieldType.TEXT: folded,
    FieldType.NUMBER: reading.amount,
    FieldType.MONEY: reading.amount,
    FieldType.BOOLEAN: reading.flag,
    FieldType.DATE: reading.moment,
    FieldType.LIST: _folded_words,
}
"""How a field's value is read; None means that it is missing, and what is not of the field's type is missing."""


def shown(value: Any) -> str:
    """A value as a sentence shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, list | tuple | set | frozenset):
        return listed(list(value), "and")
    return str(value)[:_SHOWN]


def listed(values: Sequence[Any], word: str) -> str:
    """Several values with `word` before the last: the first few of them and how many others there are."""
    names = [shown(value) for value in values[:_LISTED]]
    if len(values) > _LISTED:
        names.append(f"{len(values) - _LISTED} others")
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "empty"
