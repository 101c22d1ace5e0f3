"""What a condition can ask of a field: the operators of every type, and the values they take.

Texts are compared without regard to case. Amounts and numbers are compared exactly, as decimals. A day
without a time is the whole day in UTC: `after` it means from the next day on, `before` it up to its start.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from tidings.features.shops.rules import reading
from tidings.features.shops.rules.field_types import FieldType, folded, listed, shown

MAX_VALUES = 1_000
MAX_DAYS = 36_500
PRESENT = "present"
"""The phrase of the conditions that ask only whether there is a value."""

Test = Callable[[Any, Mapping[str, Any]], bool]
"""Takes the field's value as `READERS` give it, and the context (whose `now` is the present moment)."""


Builder = Callable[[FieldType, Any], tuple[Test, str]]
"""Makes a test and its phrase ("at least 50") of a condition's value; ValueError says what the value should be."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator that `negates` holds whenever its test does not, a missing value included."""

    types: frozenset[FieldType]
    build: Builder
    takes_value: bool = True
    negates: bool = False


def _constant(kind: FieldType, value: Any) -> Any:
    match kind:
        case FieldType.TEXT | FieldType.LIST:
            if isinstance(value, str) and len(value) <= reading.MAX_TEXT and (word := folded(value)):
                return word
            raise ValueError(f"needs a text of 1 to {reading.MAX_TEXT} characters")
        case FieldType.MONEY:
            if (number := reading.amount(value)) is not None:
                return number
            raise ValueError('needs an amount such as 50 or "49.90"')
        case FieldType.NUMBER:
            if not isinstance(value, str) and (number := reading.amount(value)) is not None:
                return number
            raise ValueError("needs a number such as 3, without quotes")
        case FieldType.BOOLEAN:
            if isinstance(value, bool):
                return value
            raise ValueError("needs true or false")
        case FieldType.DATE:
            return _span(value)


def _span(value: Any) -> tuple[datetime, datetime]:
    """Start and end of a day, or of the microsecond that a moment is."""
    wrong = ValueError("needs a day such as 2026-11-24, or a time with its offset such as 2026-11-24T09:00:00+01:00")
    if not isinstance(value, str):
        raise wrong
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise wrong from None
    is_day = "T" not in value.upper() and at.time() == time() and at.tzinfo is None and ":" not in value
    if at.tzinfo is None and not is_day:
        raise wrong
    start = reading.moment(at.replace(tzinfo=UTC) if is_day else at)
    if start is None:
        raise ValueError("is too far from today to be meant; check the year")
    return start, start + (timedelta(days=1) if is_day else timedelta.resolution)


def _constants(kind: FieldType, value: Any) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_VALUES:
        raise ValueError(f"needs a list of 1 to {MAX_VALUES:,} values in square brackets")
    return [_constant(kind, item) for item in value]


def _equals(kind: FieldType, value: Any) -> tuple[Test, str]:
    constant = _constant(kind, value)
    phrase = f"equal to {shown(value) if kind == FieldType.TEXT else _plainly(value)}"
    return lambda known, _: bool(known == constant), phrase


def _comparing(compare: Callable[[Any, Any], bool], words: str) -> Builder:
    def build(kind: FieldType, value: Any) -> tuple[Test, str]:
        constant = _constant(kind, value)
        return lambda known, _: compare(known, constant), f"{words} {_plainly(value)}"

    return build


def _between(kind: FieldType, value: Any) -> tuple[Test, str]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("needs two values in square brackets, the lower one first")
    low, high = _constants(kind, value)
    if low > high:
        raise ValueError("has the higher value first; write the lower one first")
    phrase = f"between {_plainly(value[0])} and {_plainly(value[1])}"
    if kind == FieldType.DATE:
        start, end = low[0], high[1]
        return lambda known, _: bool(start <= known < end), phrase
    return lambda known, _: bool(low <= known <= high), phrase


def _in(kind: FieldType, value: Any) -> tuple[Test, str]:
    constants = frozenset(_constants(kind, value))
    return lambda known, _: known in constants, f"one of {listed(value, 'or')}"


def _contains(kind: FieldType, value: Any) -> tuple[Test, str]:
    constant = _constant(kind, value)
    return lambda known, _: constant in known, f"containing {shown(value)}"


def _contains_any(kind: FieldType, value: Any) -> tuple[Test, str]:
    constants = _constants(kind, value)
    phrase = f"containing {listed(value, 'or')}"
    if kind == FieldType.LIST:
        wanted = frozenset(constants)
        return lambda known, _: not wanted.isdisjoint(known), phrase
    return lambda known, _: any(constant in known for constant in constants), phrase


def _contains_all(kind: FieldType, value: Any) -> tuple[Test, str]:
    constants = _constants(kind, value)
    return lambda known, _: all(constant in known for constant in constants), f"containing {listed(value, 'and')}"


def _starts_with(kind: FieldType, value: Any) -> tuple[Test, str]:
    constant = _constant(kind, value)
    return lambda known, _: bool(known.startswith(constant)), f"starting with {shown(value)}"


def _ends_with(kind: FieldType, value: Any) -> tuple[Test, str]:
    constant = _constant(kind, value)
    return lambda known, _: bool(known.endswith(constant)), f"ending with {shown(value)}"


def _is(wanted: bool) -> Builder:
    return lambda _kind, _value: (lambda known, _: known is wanted, "true" if wanted else "false")


def _is_present(_kind: FieldType, _value: Any) -> tuple[Test, str]:
    return lambda known, _: True, PRESENT


def _before(_kind: FieldType, value: Any) -> tuple[Test, str]:
    start, _ = _span(value)
    return lambda known, _: bool(known < start), f"before {_plainly(value)}"


def _after(_kind: FieldType, value: Any) -> tuple[Test, str]:
    _, end = _span(value)
    return lambda known, _: bool(known >= end), f"after {_plainly(value)}"


def _within_last_days(_kind: FieldType, value: Any) -> tuple[Test, str]:
    span = _days(value)

    def test(known: datetime, context: Mapping[str, Any]) -> bool:
        now = reading.moment(context.get("now"))
        return now is not None and now - span <= known <= now

    return test, f"within the last {_days_in_words(value)}"


def _more_than_days_ago(_kind: FieldType, value: Any) -> tuple[Test, str]:
    span = _days(value)

    def test(known: datetime, context: Mapping[str, Any]) -> bool:
        now = reading.moment(context.get("now"))
        return now is not None and known < now - span

    return test, f"more than {_days_in_words(value)} ago"


def _days(value: Any) -> timedelta:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 < value <= MAX_DAYS:
        raise ValueError(f"needs a number of days, more than 0 and at most {MAX_DAYS:,}")
    return timedelta(days=value)


def _days_in_words(value: float) -> str:
    return "day" if value == 1 else f"{value} days"


def _plainly(value: Any) -> str:
    """A number, an amount or a day as it was written, without quotes."""
    return value.strip() if isinstance(value, str) else shown(value)


_TEXT, _LIST, _DATE, _BOOLEAN = (
    frozenset({kind}) for kind in (FieldType.TEXT, FieldType.LIST, FieldType.DATE, FieldType.BOOLEAN)
)
_NUMERIC = frozenset({FieldType.NUMBER, FieldType.MONEY})
_ANY = frozenset(FieldType)

OPERATORS: dict[str, Operator] = {
    "equals": Operator(_TEXT | _NUMERIC | _BOOLEAN, _equals),
    "not_equals": Operator(_TEXT | _NUMERIC | _BOOLEAN, _equals, negates=True),
    "greater_than": Operator(_NUMERIC, _comparing(operator.gt, "more than")),
    "at_least": Operator(_NUMERIC, _comparing(operator.ge, "at least")),
    "less_than": Operator(_NUMERIC, _comparing(operator.lt, "less than")),
    "at_most": Operator(_NUMERIC, _comparing(operator.le, "at most")),
    "between": Operator(_NUMERIC | _DATE, _between),
    "in": Operator(_TEXT | _NUMERIC, _in),
    "not_in": Operator(_TEXT | _NUMERIC, _in, negates=True),
    "contains": Operator(_TEXT | _LIST, _contains),
    "not_contains": Operator(_TEXT | _LIST, _contains, negates=True),
    "contains_any": Operator(_TEXT | _LIST, _contains_any),
    "contains_all": Operator(_TEXT | _LIST, _contains_all),
    "starts_with": Operator(_TEXT, _starts_with),
    "ends_with": Operator(_TEXT, _ends_with),
    "is_missing": Operator(_ANY, _is_present, takes_value=False, negates=True),
    "is_present": Operator(_ANY, _is_present, takes_value=False),
    "is_true": Operator(_BOOLEAN, _is(True), takes_value=False),
    "is_false": Operator(_BOOLEAN, _is(False), takes_value=False),
    "before": Operator(_DATE, _before),
    "after": Operator(_DATE, _after),
    "within_last_days": Operator(_DATE, _within_last_days),
    "more_than_days_ago": Operator(_DATE, _more_than_days_ago),
}

ALIASES = {
    "==": "equals", "=": "equals", "!=": "not_equals",
    ">": "greater_than", ">=": "at_least", "<": "less_than", "<=": "at_most",
}  # fmt: skip
