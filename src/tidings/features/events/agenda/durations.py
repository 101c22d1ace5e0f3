"""How long sessions last, in the ways in which exporters write it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from tidings.errors import InvalidInput
from tidings.features.events.agenda.values import shown

_MOST_MINUTES = 10**6

_MINUTES = re.compile(r"\d{1,6}(?:\.0+)?")
_HOURS = re.compile(r"(\d{1,3})(?:\.0+)?:(\d{1,3})(?:\.0+)?(?::([0-5]\d)(?:\.0+)?)?")
_DAYS = re.compile(r"([1-9]):([01]\d|2[0-3]):([0-5]\d)")
_ISO = re.compile(r"P(?=[\dT])(?:(\d{1,3})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,6})(?:\.\d+)?S)?)?", re.I)
_HOURS_IN_WORDS = re.compile(r"(\d{1,3})\s*h(?:(?:ou)?rs?)?\.?(?:\s*(\d{1,2})\s*(?:m(?:in(?:ute)?s?)?\.?)?)?", re.I)
_MINUTES_IN_WORDS = re.compile(r"(\d{1,5})\s*(?:m(?:in(?:ute)?s?)?\.?|['’′])", re.I)
_PART_OF_HOURS = re.compile(r"(\d{1,2})[.,](\d{1,2})\s*h(?:(?:ou)?rs?)?\.?", re.I)


def length_of(value: Any, path: str) -> timedelta:
    """A duration: minutes, H:MM, H:MM:SS, D:HH:MM, ISO 8601's PT1H30M, or `1 h 30 min`.

    Minutes may be more than 59 ("0:90"). Of three parts a single digit but 0 in front are days, as pretalx and others
    write them, where hours can follow: 1:00:00 is a day (https://github.com/voc/schedule/issues/129), 1:30:00 are 90
    minutes. Hours may be a fraction's whole part, "1.0:00", as pretalx once wrote an hour
    (https://github.com/pretalx/pretalx/issues/350). Raises InvalidInput for anything else, and for no time at all.
    """
    length = _read(value)
    if length is None:
        problem = "is missing" if value in (None, "") else f"{shown(value)} is not a duration"
        raise InvalidInput(path, f"{problem}; write how long the session lasts as HH:MM")
    if length == timedelta(0):
        raise InvalidInput(path, f"{shown(value)} is no time at all; write how long it lasts as HH:MM")
    return length


def _read(value: Any) -> timedelta | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        whole = value >= 0 and value == value // 1
        return timedelta(minutes=min(int(value), _MOST_MINUTES)) if whole and value < float("inf") else None
    text = value.strip() if isinstance(value, str) else ""
    if _MINUTES.fullmatch(text):
        return timedelta(minutes=float(text))
    if (match := _DAYS.fullmatch(text)) is not None:
        return timedelta(days=int(match[1]), hours=int(match[2]), minutes=int(match[3]))
    if (match := _HOURS.fullmatch(text)) is not None:
        return timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=int(match[3] or 0))
    if (match := _ISO.fullmatch(text)) is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if (match := _HOURS_IN_WORDS.fullmatch(text)) is not None:
        return timedelta(hours=int(match[1]), minutes=int(match[2] or 0))
    if (match := _PART_OF_HOURS.fullmatch(text)) is not None:
        return timedelta(minutes=round(60 * float(f"{match[1]}.{match[2]}")))
    if (match := _MINUTES_IN_WORDS.fullmatch(text)) is not None:
        return timedelta(minutes=int(match[1]))
    return None
