"""What becomes of a stored agenda: the new one beside it, how they differ, and how the new one is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput
from tidings.features.events.agenda_rows import on_other_clocks, span, usual_hours
from tidings.features.events.models import AgendaSession, Event, SessionKind
from tidings.features.events.rules.plan import EVENT_FACTS, SESSION_FACTS, EventFacts, SessionFacts


@dataclass(frozen=True, slots=True)
class SessionChange:
    """A session that stays, under its key, and is not what it was."""

    before: SessionFacts
    after: SessionFacts

    @property
    def is_moved(self) -> bool:
        """Whether it begins or ends at another time."""
        return (self.before.start_time, self.before.end_time) != (self.after.start_time, self.after.end_time)

    @property
    def is_renamed(self) -> bool:
        """Whether it has another title."""
        return self.before.title != self.after.title


@dataclass(frozen=True, slots=True)
class NewAgenda:
    """An agenda that is to take the place of an event's present one, and what the event is then.

    `event` and `slots` are what the plan is made from; in order of time, as the stored ones are.
    """

    before: EventFacts
    event: EventFacts
    date: date
    slots: tuple[SessionFacts, ...]
    added: tuple[SessionFacts, ...]
    removed: tuple[SessionFacts, ...]
    changed: tuple[SessionChange, ...]
    rows: Sequence[Mapping[str, Any]]

    @property
    def is_other(self) -> bool:
        """Whether anything differs that messages are made from."""
        return bool(self.added or self.removed or self.changed) or self.before != self.event


def new_agenda(
    event: Event, stored: Sequence[AgendaSession], rows: Sequence[Mapping[str, Any]], timezone: str
) -> NewAgenda:
    """`rows` in the place of the `stored` sessions, matched by key, with the event in `timezone`.

    The event's times follow the agenda where they followed the old one; those that somebody set stay, on its clocks
    if they were told so. Raises InvalidInput when the event would then end before it starts.
    """
    old = span([{"start_time": slot.start_time, "end_time": slot.end_time} for slot in stored])
    old = old or usual_hours(event.date, event.timezone)
    new = span(rows) or usual_hours(event.date, timezone)

    def following(moment: datetime, followed: datetime, follows: datetime) -> datetime:
        if moment == followed:
            return follows
        return on_other_clocks(moment, event.timezone, timezone) if event.is_local else moment

    start = following(event.start_time, old[0], new[0])
    end = following(event.end_time, old[1], new[1])
    if end <= start:
        raise InvalidInput("sessions", f"the event would start at {start:%F %R} and end at {end:%F %R} UTC")
    before = EventFacts(**{name: getattr(event, name) for name in EVENT_FACTS})
    known = {slot.key: facts_of({name: getattr(slot, name) for name in SESSION_FACTS}) for slot in stored}
    facts = [facts_of(row) for row in rows]
    kept = {slot.key for slot in facts}
    return NewAgenda(
        before=before,
        event=EventFacts(before.id, before.name, before.location, timezone, start, end),
        date=start.astimezone(ZoneInfo(timezone)).date(),
        slots=tuple(sorted(facts, key=lambda slot: (slot.start_time, slot.key))),
        added=tuple(slot for slot in facts if slot.key not in known),
        removed=tuple(slot for key, slot in known.items() if key not in kept),
        changed=tuple(SessionChange(known[slot.key], slot) for slot in facts if known.get(slot.key, slot) != slot),
        rows=rows,
    )


def facts_of(row: Mapping[str, Any]) -> SessionFacts:
    """A session as the rules see it."""
    return SessionFacts(**{**{name: row[name] for name in SESSION_FACTS}, "kind": SessionKind(row["kind"])})


async def write_agenda(
    session: AsyncSession, event: Event, stored: Sequence[AgendaSession], agenda: NewAgenda
) -> None:
    """Makes the stored agenda and the event's times equal to `agenda`. The event is locked."""
    slots = {slot.key: slot for slot in stored}
    for row in agenda.rows:
        slot = slots.pop(row["key"], None)
        if slot is None:
            session.add(AgendaSession(event_id=event.id, **row))
            continue
        for name, value in row.items():
            if getattr(slot, name) != value:
                setattr(slot, name, value)
    if slots:
        await session.execute(
            delete(AgendaSession).where(AgendaSession.event_id == event.id, AgendaSession.key.in_(sorted(slots)))
        )
    event.timezone = agenda.event.timezone
    event.start_time, event.end_time = agenda.event.start_time, agenda.event.end_time
    event.date = agenda.date
