"""An agenda as rows: their keys and times, and the event's times that follow from them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tidings.errors import InvalidInput
from tidings.features.events.models import AgendaSession
from tidings.features.events.schemas import EventIn, FileSession, SessionIn
from tidings.fields import in_zone

LONGEST_SESSION = timedelta(hours=36)


def agenda_rows(sessions: Sequence[SessionIn], timezone: str) -> list[dict[str, Any]]:
    """Sessions as rows with UTC times and a key each.

    Raises InvalidInput that names the first session which ends before it starts, lasts impossibly long or
    repeats another one's key.
    """
    rows: list[dict[str, Any]] = []
    keys: dict[str, int] = {}
    names = Counter(_name(slot, timezone) for slot in sessions if slot.key is None)
    for index, slot in enumerate(sessions):
        start, end = in_zone(slot.start_time, timezone), in_zone(slot.end_time, timezone)
        if end <= start:
            raise InvalidInput(f"sessions.{index}.end_time", f"{slot.title!r} ends before it starts")
        if end - start > LONGEST_SESSION:
            raise InvalidInput(f"sessions.{index}.end_time", f"{slot.title!r} lasts longer than a day and a half")
        key = slot.key or _key(_name(slot, timezone), start, names)
        if key in keys:
            raise InvalidInput(
                f"sessions.{index}.key", f"is the same as that of session {keys[key]}; give each its own key"
            )
        keys[key] = index
        values = slot.model_dump(include=set(SessionIn.model_fields))
        is_local, origin = slot.start_time.tzinfo is None, None
        if isinstance(slot, FileSession):
            is_local, origin = slot.is_local, slot.origin
        values |= {"start_time": start, "end_time": end, "is_local": is_local, "origin": origin}
        rows.append({**values, "key": key})
    return rows


def _name(slot: SessionIn, timezone: str) -> str:
    """What people know a slot by: room, title and the day where the event takes place."""
    day = in_zone(slot.start_time, timezone).astimezone(ZoneInfo(timezone)).date()
    return "\n".join((slot.room or "", slot.title, day.isoformat()))


def _key(name: str, start: datetime, names: Mapping[str, int]) -> str:
    """A key that survives a changed time of day, unless two coffee breaks need theirs to be told apart."""
    identity = f"{name}\n{start.isoformat()}" if names[name] > 1 else name
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def event_times(event: EventIn, timezone: str, rows: Sequence[Mapping[str, Any]]) -> tuple[datetime, datetime]:
    """Start and end in UTC: as given, else the agenda's, else 09:00 to 17:00 on the event's date.

    Raises InvalidInput when the end is not after the start.
    """
    start, end = span(rows) or usual_hours(event.date, timezone)
    start = in_zone(event.start_time, timezone) if event.start_time else start
    end = in_zone(event.end_time, timezone) if event.end_time else end
    if end <= start:
        raise InvalidInput("end_time", "the event ends before it starts")
    return start, end


def usual_hours(day: date, timezone: str) -> tuple[datetime, datetime]:
    """09:00 to 17:00 on the wall clock of `timezone`, in UTC: the times of an event nobody gave any."""
    zone = ZoneInfo(timezone)
    return (
        datetime.combine(day, time(9), zone).astimezone(UTC),
        datetime.combine(day, time(17), zone).astimezone(UTC),
    )


def span(rows: Sequence[Mapping[str, Any]]) -> tuple[datetime, datetime] | None:
    """First start and last end of an agenda."""
    if not rows:
        return None
    return min(row["start_time"] for row in rows), max(row["end_time"] for row in rows)


def moved_rows(stored: Sequence[AgendaSession], before: str, after: str) -> list[dict[str, Any]]:
    """The stored agenda in another timezone: what was told by the event's clocks moves along, and lasts as long."""
    rows = []
    for slot in stored:
        row = {name: getattr(slot, name) for name in _COLUMNS}
        if slot.is_local:
            row["start_time"] = on_other_clocks(slot.start_time, before, after)
            row["end_time"] = row["start_time"] + (slot.end_time - slot.start_time)
        rows.append(row)
    return rows


def on_other_clocks(moment: datetime, before: str, after: str) -> datetime:
    """When the clocks of `after` show what those of `before` show at the moment; UTC."""
    return in_zone(moment.astimezone(ZoneInfo(before)).replace(tzinfo=None), after)


_COLUMNS = (*(name for name in SessionIn.model_fields), "is_local", "origin")
