"""An agenda as rows: their keys and times, the event's times that follow from them, and how they are stored."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput
from tidings.features.events.lookup import find_sessions
from tidings.features.events.models import AgendaSession, Event
from tidings.features.events.schemas import EventIn, SessionIn
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
        values = slot.model_dump(exclude={"key", "start_time", "end_time"})
        rows.append({**values, "key": key, "start_time": start, "end_time": end})
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


async def write_agenda(session: AsyncSession, event: Event, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Makes the stored agenda equal to `rows`, matched by key. Returns whether anything changed.

    The event's times follow the agenda where they followed the old one; times that somebody set stay.
    Raises InvalidInput when the event would then end before it starts.
    """
    stored = {slot.key: slot for slot in await find_sessions(session, event.id)}
    old_span = span([{"start_time": slot.start_time, "end_time": slot.end_time} for slot in stored.values()])
    followed = old_span or usual_hours(event.date, event.timezone)
    changed = False
    for row in rows:
        slot = stored.pop(row["key"], None)
        if slot is None:
            session.add(AgendaSession(event_id=event.id, **row))
            changed = True
            continue
        for name, value in row.items():
            if getattr(slot, name) != value:
                setattr(slot, name, value)
                changed = True
    if stored:
        changed = True
        await session.execute(
            delete(AgendaSession).where(AgendaSession.event_id == event.id, AgendaSession.key.in_(sorted(stored)))
        )
    new_span = span(rows) or usual_hours(event.date, event.timezone)
    start = new_span[0] if event.start_time == followed[0] else event.start_time
    end = new_span[1] if event.end_time == followed[1] else event.end_time
    if end <= start:
        raise InvalidInput("sessions", f"the event would start at {start:%F %R} and end at {end:%F %R} UTC")
    event.start_time, event.end_time = start, end
    event.date = event.start_time.astimezone(ZoneInfo(event.timezone)).date()
    return changed
