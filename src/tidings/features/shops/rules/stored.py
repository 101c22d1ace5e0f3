"""An event's variables as JSON for a row, and back: amounts become decimals again, times aware datetimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tidings.features.shops.rules import reading
from tidings.features.shops.rules.field_types import FieldType
from tidings.features.shops.rules.variables import FIELDS

_READERS: Mapping[FieldType, Callable[[Any], Any]] = {FieldType.MONEY: reading.amount, FieldType.DATE: reading.moment}
_TYPED = {name: _READERS[kind] for fields in FIELDS.values() for name, kind in fields.items() if kind in _READERS}
_LINE_ITEMS, _PRICE = "line_items", "price"


def to_json(value: Any) -> Any:
    """Variables without decimals and datetimes: both become texts."""
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def from_json(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What `to_json` was given, as far as the fields' types tell."""
    return {root: _restored(root, value) if isinstance(value, Mapping) else value for root, value in stored.items()}


def _restored(root: str, values: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _typed(f"{root}.{name}", value) for name, value in values.items()}
    if isinstance(lines := found.get(_LINE_ITEMS), list):
        found[_LINE_ITEMS] = [
            {**line, _PRICE: reading.amount(line.get(_PRICE))} for line in lines if isinstance(line, Mapping)
        ]
    return found


def _typed(name: str, value: Any) -> Any:
    read = _TYPED.get(name)
    return value if read is None or value is None else read(value)
