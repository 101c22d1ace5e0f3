"""The times in an agenda's file: its days and their clocks, and when sessions begin and end."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple, TypeVar

from tidings.errors import InvalidInput
from tidings.features.events.agenda.durations import length_of
from tidings.features.events.agenda.raw import Findings, RawAgenda, RawDay
from tidings.features.events.agenda.values import shown
from tidings.features.events.agenda_rows import LONGEST_SESSION

Value = TypeVar("Value")

_DAY_CHANGE = time(4)  # pretalx begins its days then; the CCC ends them then

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_BEFORE_OFFSET = re.compile(r"(?<=\d)\s+(?=[+-]\d{2}:?\d{2}$|Z$)")
_HALF_DAY = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*([ap])\.?m\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AgendaDay:
    """A day of the agenda, which may last beyond midnight.

    Clock times before `change` belong to the next calendar day, unless that is past `end` (wall clock, naive).
    `zone` is where times without an offset are read; `is_local` says whether that is the event's.
    """

    path: str
    date: date | None
    change: time
    end: datetime | None
    zone: tzinfo
    is_local: bool = True


class Moment(NamedTuple):
    """An instant (UTC), and whether it was told as a time by the event's clocks."""

    at: datetime
    is_local: bool


def no_day(zone: tzinfo) -> AgendaDay:
    """What stands for the day of a session that has none: it needs a whole date."""
    return AgendaDay("date", None, time.min, None, zone)


def read_day(raw: RawDay, zone: tzinfo, agenda: RawAgenda, findings: Findings) -> AgendaDay:
    """The day that `raw` describes, in `zone` unless its `day_start` has another offset.

    Values that cannot be read are noted; a session that needs the date then has no time.
    """
    fields, is_local = raw.fields, True
    day = _try(lambda: read_date(fields["date"], f"{raw.path}.date"), findings) if fields.get("date") else None
    start = _edge(fields.get("day_start"), f"{raw.path}.day_start", findings)
    end = _edge(fields.get("day_end"), f"{raw.path}.day_end", findings)
    if isinstance(start, datetime):
        if start.tzinfo is not None and start.astimezone(zone).utcoffset() != start.utcoffset() != timedelta(0):
            zone, is_local = start.tzinfo, False  # the file's clocks do not hang in that zone
        day = day or start.date()
        change: time | None = _wall_clock(start, zone).time()
    else:
        change = start
    if change is None and agenda.conference.get("day_change"):
        at = f"{agenda.path}.day_change"
        change = _try(lambda: _clock(agenda.conference["day_change"], at), findings)
    if isinstance(end, time):
        last = datetime.combine(day, end) if day is not None else None
        end = last + timedelta(days=1) if last is not None and end <= (change or _DAY_CHANGE) else last
    return AgendaDay(
        path=f"{raw.path}.date",
        date=day,
        change=_DAY_CHANGE if change is None else change,
        end=_wall_clock(end, zone) if end is not None else None,
        zone=zone,
        is_local=is_local,
    )


def _edge(value: Any, path: str, findings: Findings) -> datetime | time | None:
    """When a day begins or ends: an ISO 8601 time, or a clock time."""
    if not value:
        return None
    if _is_clock(value):
        return _try(lambda: _clock(value, path), findings)
    return _try(lambda: iso_time(value, path), findings)


def _try(read: Callable[[], Value], findings: Findings) -> Value | None:
    try:
        return read()
    except InvalidInput as error:
        findings.warn(error)
        return None


def start_of(raw: dict[str, Any], path: str, day: AgendaDay) -> Moment:
    """When the session begins. Raises InvalidInput when it cannot be told."""
    moment, clock = raw.get("date"), raw.get("start")
    if not moment and not clock:
        raise InvalidInput(
            f"{path}.date", "is missing: it has no place in the agenda yet; give it a date and a start"
        )
    if isinstance(moment, str) and moment and ":" not in moment and "T" not in moment:
        day = replace(day, date=read_date(moment, f"{path}.date"), change=time.min)
        moment = None
    return _moment(moment, f"{path}.date", day) if moment else _moment(clock, f"{path}.start", day)


def end_of(raw: dict[str, Any], path: str, day: AgendaDay, start: datetime) -> datetime:
    """When it ends, in UTC: after its duration; without one that can be used, as it is to be dropped, at its `end`.

    Raises InvalidInput also for what lasts longer than a session can: reminders and requests for ratings mean nothing
    to the visitors of an exhibition.
    """
    try:
        at = f"{path}.duration"
        length = length_of(raw.get("duration"), at)
    except InvalidInput:
        if not raw.get("end"):
            raise
        at = f"{path}.end"
        length = _moment(raw["end"], at, _day_of(start, day)).at - start
        if length <= timedelta(0):
            raise InvalidInput(
                at, f"{shown(raw['end'])} is not after the start; write when the session ends"
            ) from None
    if length > LONGEST_SESSION:
        hours = LONGEST_SESSION // timedelta(hours=1)
        raise InvalidInput(at, f"is {_said(length)}; what lasts more than {hours} hours is no session")
    return start + length


def _day_of(start: datetime, day: AgendaDay) -> AgendaDay:
    """The day that a clock time of the end belongs to: the start's, and the next one's from midnight on."""
    local = start.astimezone(day.zone)
    return replace(day, date=local.date(), change=local.time().replace(tzinfo=None), end=None)


def _said(length: timedelta) -> str:
    hours, rest = divmod(length, timedelta(hours=1))
    minutes = rest // timedelta(minutes=1)
    return f"{hours:,} h" + (f" {minutes} min" if minutes else "")


def _wall_clock(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)


def _on_day(clock: time, day: AgendaDay) -> datetime:
    if day.date is None:
        raise InvalidInput(day.path, "is missing or no date; write it like 2026-05-01")
    moment = datetime.combine(day.date, clock)
    after_midnight = moment + timedelta(days=1)
    if clock < day.change and (day.end is None or after_midnight < day.end):
        moment = after_midnight
    return moment.replace(tzinfo=day.zone).astimezone(UTC)


def _moment(value: Any, path: str, day: AgendaDay) -> Moment:
    """An ISO 8601 time, or a clock time of that day."""
    if _is_clock(value):
        return Moment(_on_day(_clock(value, path), day), day.is_local)
    moment = iso_time(value, path)
    if moment.tzinfo is not None:
        return Moment(moment.astimezone(UTC), False)
    return Moment(moment.replace(tzinfo=day.zone).astimezone(UTC), day.is_local)


def iso_time(value: Any, path: str) -> datetime:
    """An ISO 8601 time, with or without an offset."""
    try:
        moment = datetime.fromisoformat(_BEFORE_OFFSET.sub("", value.strip()))
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidInput(path, f"{shown(value)} is not a time; write 2026-05-01T09:00:00+02:00") from error
    _check_year(moment.year, path)
    return moment


def _is_clock(value: Any) -> bool:
    return isinstance(value, str) and bool(_CLOCK.fullmatch(value.strip()) or _HALF_DAY.fullmatch(value.strip()))


def _clock(value: Any, path: str) -> time:
    text = value.strip() if isinstance(value, str) else ""
    try:
        if (match := _HALF_DAY.fullmatch(text)) is not None and 1 <= int(match[1]) <= 12:
            return time(int(match[1]) % 12 + (12 if match[3] in "pP" else 0), int(match[2] or 0))
        if (match := _CLOCK.fullmatch(text)) is not None:
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
