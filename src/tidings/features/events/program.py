"""What an organiser lays down: events and their agendas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.events.agenda_rows import agenda_rows, event_times, write_agenda
from tidings.features.events.lookup import find_event, find_sessions, require_alive
from tidings.features.events.models import AgendaSession, Event, EventStatus
from tidings.features.events.plan_changes import ScheduleResult, clear_event
from tidings.features.events.schedule import make_schedules
from tidings.features.events.schemas import AgendaIn, EventIn
from tidings.fields import MAX_ID
from tidings.messages.statuses import Reason
from tidings.work import Work


class Program:
    """Events and their agendas. `timezone` is that of events without one; naive times are the event's local time."""

    def __init__(self, work: Work, *, timezone: str) -> None:
        self._work = work
        self._timezone = timezone

    async def create_event(self, event: EventIn | Mapping[str, Any]) -> Event:
        """Stores an event with its agenda. Raises InvalidInput, and Conflict when the slug is taken."""
        wanted = parse(EventIn, event)
        zone = wanted.timezone or self._timezone
        rows = agenda_rows(wanted.sessions, zone)
        start, end = event_times(wanted, zone, rows)
        now = self._work.clock.now()
        stored = Event(
            **wanted.model_dump(include={"name", "slug", "location"}),
            date=start.astimezone(ZoneInfo(zone)).date(),
            timezone=zone,
            start_time=start,
            end_time=end,
            created_at=now,
            updated_at=now,
        )
        try:
            async with self._work.begin() as unit:
                unit.session.add(stored)
                await unit.session.flush()
                unit.session.add_all([AgendaSession(event_id=stored.id, **row) for row in rows])
        except IntegrityError as error:
            raise Conflict(f"slug: an event with slug {wanted.slug!r} exists already") from error
        return stored

    async def get_event(self, event_id: int) -> Event:
        """Raises NotFound."""
        async with self._work.read() as session:
            return await find_event(session, event_id)

    async def find_event_by(self, name: str) -> Event:
        """The event with this slug, or else with this id. Raises NotFound."""
        async with self._work.read() as session:
            event = await session.scalar(select(Event).where(Event.slug == name))
            if event is None and name.isascii() and name.isdecimal() and int(name) <= MAX_ID:
                event = await session.get(Event, int(name))
        if event is None:
            raise NotFound("event", name)
        return event

    async def list_events(self) -> Sequence[Event]:
        """Every event, the earliest first."""
        async with self._work.read() as session:
            return (await session.scalars(select(Event).order_by(Event.start_time, Event.id))).all()

    async def get_agenda(self, event_id: int) -> Sequence[AgendaSession]:
        """The event's sessions in order of time. Raises NotFound."""
        async with self._work.read() as session:
            await find_event(session, event_id)
            return await find_sessions(session, event_id)

    async def replace_agenda(self, event_id: int, agenda: AgendaIn | Mapping[str, Any]) -> ScheduleResult:
        """Stores a new agenda and moves, adds and cancels exactly the messages that it changes.

        The agenda is stored as a whole, or nothing is. Then its messages follow, some people's after the other's, and
        what a process has left undone that died, orchestration does within a minute. Raises NotFound, InvalidInput,
        and Conflict when the event is over or cancelled.
        """
        wanted = parse(AgendaIn, agenda)
        async with self._work.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            require_alive(event)
            if await write_agenda(unit.session, event, agenda_rows(wanted.sessions, event.timezone)):
                event.mark_changed(self._work.clock.now())
        return await make_schedules(self._work, event_id, revive_cleared=False)

    async def cancel_event(self, event_id: int) -> int:
        """Cancels an event and all its waiting messages; returns how many. Cancelling it again is harmless.

        From the first moment on none of them goes out; orchestration goes on with what was not called off. Raises
        NotFound, and Conflict when it is over.
        """
        async with self._work.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            if event.status == EventStatus.COMPLETED:
                raise Conflict(
                    f"event {event.id} is completed; clear its messages if the last ones are not to go out"
                )
            event.status = EventStatus.CANCELLED
            event.updated_at = self._work.clock.now()
        return await clear_event(self._work, Reason.EVENT_CANCELLED, event_id)
