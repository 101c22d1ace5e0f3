"""The times in a schedule.json: its days and their clocks, and when sessions begin and end."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from tidings.errors import InvalidInput
from tidings.features.events.agenda.values import ROOT, shown

_LONGEST = timedelta(days=31)
_DAY_CHANGE = time(4)  # pretalx begins its days then; the CCC ends them then

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_HOURS = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?")
_DAYS = re.compile(r"([1-9]):([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class AgendaDay:
    """A day of the agenda, which may last beyond midnight.

    Clock times before `change` belong to the next calendar day, unless that is past `end` (wall clock, naive).
    `zone` is where times without an offset are read.
    """

    date: date
    change: time
    end: datetime | None
    zone: tzinfo


def read_day(raw: dict[str, Any], path: str, zone: tzinfo, conference: dict[str, Any]) -> AgendaDay:
    """The day that `raw` describes, in `zone` unless its `day_start` has another offset."""
    start = _iso(raw["day_start"], f"{path}.day_start") if raw.get("day_start") else None
    end = _iso(raw["day_end"], f"{path}.day_end") if raw.get("day_end") else None
    if start is not None and start.tzinfo is not None and start.astimezone(zone).utcoffset() != start.utcoffset():
        zone = start.tzinfo  # the file's clocks do not hang in the zone that it names
    if start is None and conference.get("day_change"):
        change = _clock(conference["day_change"], f"{ROOT}.day_change")
    else:
        change = _wall_clock(start, zone).time() if start is not None else _DAY_CHANGE
    return AgendaDay(
        date=read_date(raw.get("date"), f"{path}.date") if raw.get("date") or start is None else start.date(),
        change=change,
        end=_wall_clock(end, zone) if end is not None else None,
        zone=zone,
    )


def start_of(raw: dict[str, Any], path: str, day: AgendaDay) -> datetime:
    """When the session begins, in UTC."""
    moment, clock = raw.get("date"), raw.get("start")
    if not moment and not clock:
        raise InvalidInput(f"{path}.date", "is missing; write the start like 2026-05-01T09:00:00+02:00")
    if isinstance(moment, str) and moment and ":" not in moment and "T" not in moment:
        day = replace(day, date=read_date(moment, f"{path}.date"), change=time.min)
        moment = None
    return _moment(moment, f"{path}.date", day) if moment else _moment(clock, f"{path}.start", day)


def end_of(raw: dict[str, Any], path: str, day: AgendaDay, start: datetime) -> datetime:
    """When it ends, in UTC: after its duration; without one, which the format is about to drop, at its `end`."""
    at = f"{path}.duration"
    if raw.get("duration") in (None, "") and raw.get("end"):
        at = f"{path}.end"
        length = _moment(raw["end"], at, day) - start
        if length <= timedelta(0):
            raise InvalidInput(at, f"{shown(raw['end'])} is not after the start; write when the session ends")
    else:
        length = _length(raw.get("duration"), at)
        if length == timedelta(0):
            raise InvalidInput(at, f"{shown(raw['duration'])} is no time at all; write how long it lasts as HH:MM")
    if length > _LONGEST:
        raise InvalidInput(at, f"the session would last more than {_LONGEST.days} days; check it")
    return start + length


def _length(value: Any, path: str) -> timedelta:
    """A duration: H:MM, D:HH:MM as pretalx and others write whole days, H:MM:SS, or minutes.

    1:00:00 is a day (https://github.com/voc/schedule/issues/129); two digits in front, or none but 0, are hours.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return timedelta(minutes=min(value, 10**6))
    text = value.strip() if isinstance(value, str) else ""
    if (match := _DAYS.fullmatch(text)) is not None:
        return timedelta(days=int(match[1]), hours=int(match[2]), minutes=int(match[3]))
    if (match := _HOURS.fullmatch(text)) is not None:
        return timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=int(match[3] or 0))
    problem = "is missing" if value in (None, "") else f"{shown(value)} is not a duration"
    raise InvalidInput(path, f"{problem}; write how long the session lasts as HH:MM")


def _wall_clock(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)


def _on_day(clock: time, day: AgendaDay) -> datetime:
    moment = datetime.combine(day.date, clock)
    after_midnight = moment + timedelta(days=1)
    if clock < day.change and (day.end is None or after_midnight < day.end):
        moment = after_midnight
    return moment.replace(tzinfo=day.zone).astimezone(UTC)


def _moment(value: Any, path: str, day: AgendaDay) -> datetime:
    """An ISO 8601 time, or a clock time of that day, in UTC."""
    if isinstance(value, str) and _CLOCK.fullmatch(value.strip()):
        return _on_day(_clock(value, path), day)
    moment = _iso(value, path)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=day.zone)).astimezone(UTC)


def _iso(value: Any, path: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError) as error:
        raise InvalidInput(path, f"{shown(value)} is not a time; write 2026-05-01T09:00:00+02:00") from error
    _check_year(moment.year, path)
    return moment


def _clock(value: Any, path: str) -> time:
    match = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if match is not None:
            return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError:
        pass
    raise InvalidInput(path, f"{shown(value)} is not a time of day; write HH:MM")


def read_date(value: Any, path: str) -> date:
    """The calendar day of an ISO 8601 date or time."""
    try:
        day = datetime.fromisoformat(value.strip()).date()
    except (AttributeError, ValueError) as error:
        problem = "is missing" if value is None else f"{shown(value)} is not a date"
        raise InvalidInput(path, f"{problem}; write it like 2026-05-01") from error
    _check_year(day.year, path)
    return day


def _check_year(year: int, path: str) -> None:
    if not 1970 < year < 2200:
        raise InvalidInput(path, f"the year {year} is too far from today to be meant; check it")
