"""What an organiser lays down: events and their agendas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.events.agenda.keys import keep_keys, shares_keys
from tidings.features.events.agenda_changes import NewAgenda, new_agenda, write_agenda
from tidings.features.events.agenda_rows import agenda_rows, event_times, moved_rows
from tidings.features.events.lookup import find_event, find_sessions, require_alive
from tidings.features.events.models import AgendaSession, Event, EventMessage, EventStatus, Registration
from tidings.features.events.plan_changes import ScheduleResult, clear_event
from tidings.features.events.rehearsal import Rehearsal, rehearse
from tidings.features.events.schedule import make_schedules
from tidings.features.events.schemas import AgendaIn, EventChangeIn, EventIn, FileSession, SessionIn
from tidings.fields import MAX_ID
from tidings.messages.statuses import Reason
from tidings.work import Work


class Program:
    """Events and their agendas. `timezone` is that of events without one; naive times are the event's local time."""

    def __init__(self, work: Work, *, timezone: str) -> None:
        self._work = work
        self._timezone = timezone

    async def create_event(self, event: EventIn | Mapping[str, Any]) -> Event:
        """Stores an event with its agenda. One that is over by now is completed: nothing is planned for it.

        Raises InvalidInput, and Conflict when the slug is taken.
        """
        wanted = parse(EventIn, event)
        stored, rows = self.new_event(wanted)
        try:
            async with self._work.begin() as unit:
                unit.session.add(stored)
                await unit.session.flush()
                unit.session.add_all([AgendaSession(event_id=stored.id, **row) for row in rows])
        except IntegrityError as error:
            raise Conflict(f"slug: an event with slug {wanted.slug!r} exists already") from error
        return stored

    def new_event(self, wanted: EventIn) -> tuple[Event, list[dict[str, Any]]]:
        """The event and the rows of its agenda that `create_event` would store. Raises InvalidInput."""
        zone = wanted.timezone or self._timezone
        rows = agenda_rows(wanted.sessions, zone)
        start, end = event_times(wanted, zone, rows)
        now = self._work.clock.now()
        event = Event(
            **wanted.model_dump(include={"name", "slug", "location"}),
            date=start.astimezone(ZoneInfo(zone)).date(),
            timezone=zone,
            status=EventStatus.COMPLETED if end <= now else EventStatus.UPCOMING,
            start_time=start,
            end_time=end,
            is_local=_is_local(wanted),
            created_at=now,
            updated_at=now,
        )
        return event, rows

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
        """Stores a new agenda and changes exactly the messages that it concerns; see `change_agenda`."""
        _, result = await self.change_agenda(event_id, agenda)
        return result

    async def change_agenda(
        self, event_id: int, agenda: AgendaIn | Mapping[str, Any]
    ) -> tuple[NewAgenda, ScheduleResult]:
        """Stores a new agenda, in another timezone if it names one, and changes the messages that it concerns.

        The agenda is stored as a whole, or nothing is. Then its messages follow, some people's after the other's, and
        what a process has left undone that died, orchestration does within a minute. Returns what the agenda changed,
        and how many messages. An event that was over before anything was planned for it can still be put right.
        Raises NotFound, InvalidInput, and Conflict when the event is over or cancelled.
        """
        wanted = parse(AgendaIn, agenda)
        async with self._work.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            stored = await find_sessions(unit.session, event_id)
            new = await _read_new(unit.session, event, stored, wanted)
            await self._write(unit.session, event, stored, new)
        return new, await self._plan(event)

    async def rehearse_agenda(self, event_id: int, agenda: AgendaIn | Mapping[str, Any]) -> Rehearsal:
        """What `change_agenda` would change, without storing anything. Raises as it does."""
        wanted = parse(AgendaIn, agenda)
        async with self._work.read() as session:
            event = await find_event(session, event_id)
            new = await _read_new(session, event, await find_sessions(session, event_id), wanted)
            return await rehearse(session, event, new, self._work.clock.now())

    async def change_event(
        self, event_id: int, change: EventChangeIn | Mapping[str, Any]
    ) -> tuple[Event, ScheduleResult]:
        """Has the event's clocks hang in another timezone, and changes the messages that this concerns.

        Times that were told by its clocks move along, instants stay. Raises NotFound, InvalidInput, and Conflict when
        the event is over or cancelled.
        """
        wanted = parse(EventChangeIn, change)
        async with self._work.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            _require_changeable(event)
            stored = await find_sessions(unit.session, event_id)
            rows = moved_rows(stored, event.timezone, wanted.timezone)
            await self._write(unit.session, event, stored, new_agenda(event, stored, rows, wanted.timezone))
        return event, await self._plan(event)

    async def _write(
        self, session: AsyncSession, event: Event, stored: Sequence[AgendaSession], new: NewAgenda
    ) -> None:
        now = self._work.clock.now()
        await write_agenda(session, event, stored, new)
        if event.status == EventStatus.COMPLETED and event.end_time > now:
            event.status = EventStatus.UPCOMING
        if new.is_other:
            event.mark_changed(now)

    async def _plan(self, event: Event) -> ScheduleResult:
        if event.status == EventStatus.COMPLETED:
            return ScheduleResult()
        return await make_schedules(self._work, event.id, revive_cleared=False)

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


def _is_local(event: EventIn) -> bool:
    """Whether the times that somebody set are by the event's clocks."""
    told = [moment for moment in (event.start_time, event.end_time) if moment is not None]
    return bool(told) and all(moment.tzinfo is None for moment in told)


def _require_changeable(event: Event) -> None:
    """Raises Conflict for an event that is cancelled, or over after something was planned for it."""
    if event.status != EventStatus.COMPLETED or event.planned_version:
        require_alive(event)


async def _read_new(
    session: AsyncSession, event: Event, stored: Sequence[AgendaSession], wanted: AgendaIn
) -> NewAgenda:
    """The new agenda in the place of the stored one. What comes from a file keeps the keys of the same sessions."""
    _require_changeable(event)
    sessions: Sequence[SessionIn] = wanted.sessions
    from_file = [slot for slot in sessions if isinstance(slot, FileSession)]
    if len(from_file) == len(sessions):
        used = await _keys_used(session, event.id) if shares_keys(from_file, stored) else set()
        sessions = keep_keys(from_file, stored, used)
    timezone = wanted.timezone or event.timezone
    return new_agenda(event, stored, agenda_rows(sessions, timezone), timezone)


async def _keys_used(session: AsyncSession, event_id: int) -> set[str]:
    """The keys of sessions that anybody at the event has chosen, or has or had a message about."""
    chosen = await session.scalars(select(Registration.session_keys).where(Registration.event_id == event_id))
    told = await session.scalars(select(EventMessage.session_key).where(EventMessage.event_id == event_id).distinct())
    return {key for keys in chosen for key in keys} | set(told)
