"""The types of fields that every feature's schemas are made of: ids, names, times, texts.

A time may be aware (an instant) or naive (a wall clock); `in_zone` turns either into UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

MAX_ID = 2**63 - 1
"""The highest id that the databases can hold."""

_Day = TypeVar("_Day", bound=date)
_NO_PLACES = frozenset({"localtime", "posixrules", "Factory"})  # files beside the zones; the first is the machine's
_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
        is_place = name not in _NO_PLACES and not name.startswith(("posix/", "right/"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        is_place = False
    if not is_place:
        raise ValueError("is not an IANA timezone; write one like Europe/Berlin")
    return name


def _plausible(day: _Day) -> _Day:
    if not 1970 < day.year < 2200:
        raise ValueError("is too far from today to be meant; check the year")
    return day


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which no database text can; leave it out")
    return text


def _storable_json(data: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(data, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot be stored as JSON: {error}") from error
    if _NUL_IN_JSON.search(text):
        raise ValueError("holds a NUL character, which no database text can; leave it out")
    return data


def _lowered(word: Any) -> Any:
    return word.strip().lower() if isinstance(word, str) else word


def _as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _as_object(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Timezone = Annotated[str, AfterValidator(_known_timezone)]
Day = Annotated[date, AfterValidator(_plausible)]
Moment = Annotated[datetime, AfterValidator(_plausible)]
AnyCase = BeforeValidator(_lowered)
"""For a word of a fixed list, however its letters are written: other programs write them in capitals."""
NumberIsText = BeforeValidator(_as_text)
"""For an id or a phone number that other programs also write as a number."""
JsonIsObject = BeforeValidator(_as_object)
"""For an object that other programs also write as its JSON text."""
Storable = AfterValidator(_storable)
BlankIsAbsent = AfterValidator(lambda text: text or None)
JsonObject = Annotated[dict[str, Any], AfterValidator(_storable_json)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Storable]
FirstOrLastName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), Storable, BlankIsAbsent]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300), Storable, BlankIsAbsent]
ShortLine = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), Storable, BlankIsAbsent]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), Storable]
Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000), Storable]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40), Storable]
Email = Annotated[EmailStr, AfterValidator(str.lower)]
After = Annotated[int, Field(ge=0, le=MAX_ID, description="The last id of the page before.")]
Limit = Annotated[int, Field(ge=1, le=1000, description="Most entries to return.")]
GhlId = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64), Storable, BlankIsAbsent]


def in_zone(moment: datetime, timezone: str) -> datetime:
    """`moment` in UTC; a naive one is read on the wall clock of `timezone` (IANA name).

    A wall-clock time that a DST change skips or repeats is taken as the standard library does with
    fold=0 (PEP 495): the repeated hour's first pass, the skipped hour moved on by the gap.
    """
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(timezone))
    return aware.astimezone(UTC)


class JobData(BaseModel):
    """What a job carries, in the field names of the specifications, which are camelCase. Null is an absent field."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None}


class Input(BaseModel):
    """Something that people write; unknown fields are mistakes and are named."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """Something that goes out, read from a stored row."""

    model_config = ConfigDict(from_attributes=True)


class Counted(Output):
    """How many messages a request changed."""

    messages: int
