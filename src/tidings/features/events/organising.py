"""The verbs that organise an event: create it, change its agenda, register people, make the schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.events.models import AgendaSession, Event, EventStatus, Registration
from tidings.features.events.plan_changes import ScheduleResult, clear
from tidings.features.events.program import (
    add_registration,
    agenda_rows,
    event_times,
    find_event,
    find_registration,
    find_sessions,
    lock_events_of,
    write_agenda,
)
from tidings.features.events.rules.plan import Planned
from tidings.features.events.schedule import make_schedule, wanted_messages
from tidings.features.events.schemas import AgendaIn, ContractorIn, EventIn, RegistrationIn
from tidings.fields import MAX_ID
from tidings.messages.contacts.contractors import Contractor, find_contractor, save_contractor
from tidings.messages.contacts.phones import parse_phone
from tidings.messages.statuses import Reason
from tidings.work import Unit, Work


class Organising:
    """What an organiser does. `region` is where phone numbers without + are read, `timezone` the default one."""

    def __init__(self, work: Work, *, region: str, timezone: str) -> None:
        self._work = work
        self._region = region
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

    async def replace_agenda(self, event_id: int, agenda: AgendaIn | Mapping[str, Any]) -> ScheduleResult:
        """Stores a new agenda and moves, adds and cancels exactly the messages that it changes.

        Raises NotFound, InvalidInput, and Conflict when the event is over or cancelled.
        """
        wanted = parse(AgendaIn, agenda)
        async with self._work.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            _require_alive(event)
            if await write_agenda(unit.session, event, agenda_rows(wanted.sessions, event.timezone)):
                self._touch(event)
            await unit.session.flush()
            return await make_schedule(unit, self._work.clock, event_id, revive_cleared=False)

    async def cancel_event(self, event_id: int) -> int:
        """Cancels an event and all its waiting messages; returns how many. Cancelling it again is harmless.

        Raises NotFound, and Conflict when it is over.
        """
        async with self._work.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            if event.status == EventStatus.COMPLETED:
                raise Conflict(
                    f"event {event.id} is completed; clear its messages if the last ones are not to go out"
                )
            event.status = EventStatus.CANCELLED
            event.updated_at = self._work.clock.now()
            return await clear(unit, Reason.EVENT_CANCELLED, self._work.clock.now(), event_id)

    async def create_contractor(self, contractor: ContractorIn | Mapping[str, Any]) -> tuple[Contractor, bool]:
        """Adds a person, or completes the one with the same phone or mail; says whether it is a new one.

        A profile that becomes complete by it brings the personal agenda of every event to come. Raises
        InvalidInput, and Conflict when phone and mail belong to two people or somebody else is adding them.
        """
        values = parse(ContractorIn, contractor).model_dump()
        if values["phone"]:
            values["phone"] = parse_phone(values["phone"], self._region)
        try:
            async with self._work.begin() as unit:
                # Events are locked before people, as the planner does it, so nobody deadlocks.
                events = await lock_events_of(unit.session, values["phone"], values["email"])
                now = self._work.clock.now()
                stored, new = await save_contractor(unit.session, values, now)
                for event in events:
                    await self._complete_profile(unit, event, stored)
                    if stored.updated_at == now:
                        self._touch(event)  # others may be told this person's name and company
                return stored, new
        except IntegrityError as error:
            raise Conflict("somebody else is saving the same person right now; try again") from error

    async def get_contractor(self, contractor_id: int) -> Contractor:
        """Raises NotFound."""
        async with self._work.read() as session:
            return await find_contractor(session, contractor_id)

    async def register(self, event_id: int, registration: RegistrationIn | Mapping[str, Any]) -> Registration:
        """Registers a contractor and schedules all that is still ahead of them.

        Raises NotFound, InvalidInput, and Conflict when they are registered or the event is over or cancelled.
        """
        wanted = parse(RegistrationIn, registration)
        try:
            async with self._work.begin() as unit:
                return await self.register_in(unit, event_id, wanted)
        except IntegrityError as error:
            raise Conflict(f"contractor {wanted.contractor_id} is registered for event {event_id} already") from error

    async def register_in(self, unit: Unit, event_id: int, wanted: RegistrationIn) -> Registration:
        """`register` in the caller's unit of work."""
        event = await find_event(unit.session, event_id, lock=True)
        _require_alive(event)
        contractor = await find_contractor(unit.session, wanted.contractor_id)
        now = self._work.clock.now()
        if event.end_time <= now:
            raise Conflict(f"event {event.id} is over")
        registration = await add_registration(unit.session, event, contractor.id, wanted.sessions, now)
        if contractor.has_complete_profile:
            registration.profile_completed_at = now
        await unit.session.flush()
        await make_schedule(unit, self._work.clock, event_id, contractor_ids=[contractor.id])
        self._touch(event)  # the others' peers may change: the next orchestration looks at the whole event
        return registration

    async def cancel_registration(self, event_id: int, contractor_id: int) -> int:
        """Takes a person off an event and cancels their waiting messages; returns how many. Raises NotFound."""
        async with self._work.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            registration = await find_registration(unit.session, event_id, contractor_id)
            if registration is None:
                raise NotFound("registration of contractor", contractor_id)
            now = self._work.clock.now()
            registration.cancelled_at = registration.cancelled_at or now
            self._touch(event)
            return await clear(unit, Reason.REGISTRATION_CANCELLED, now, event_id, contractor_id)

    async def schedule_all_event_messages(self, event_id: int) -> ScheduleResult:
        """Makes the schedule of everybody registered; running it again changes only what differs. Raises NotFound."""
        async with self._work.begin() as unit:
            return await make_schedule(unit, self._work.clock, event_id)

    async def schedule_messages_for_contractor(self, event_id: int, contractor_id: int) -> ScheduleResult:
        """Makes one person's schedule. Raises NotFound, also when they are not registered."""
        async with self._work.begin() as unit:
            await find_event(unit.session, event_id, lock=True)
            registration = await find_registration(unit.session, event_id, contractor_id)
            if registration is None or registration.cancelled_at is not None:
                raise NotFound("registration of contractor", contractor_id)
            return await make_schedule(unit, self._work.clock, event_id, contractor_ids=[contractor_id])

    async def plan(self, event_id: int) -> list[Planned]:
        """What the rules ask for, for everybody registered, without storing anything. Raises NotFound."""
        async with self._work.read() as session:
            return await wanted_messages(session, await find_event(session, event_id))

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

    async def _complete_profile(self, unit: Unit, event: Event, contractor: Contractor) -> None:
        registration = await find_registration(unit.session, event.id, contractor.id)
        if registration is None or registration.cancelled_at is not None:
            return
        if registration.profile_completed_at is None and contractor.has_complete_profile:
            registration.profile_completed_at = self._work.clock.now()
            await unit.session.flush()
            await make_schedule(
                unit, self._work.clock, event.id, contractor_ids=[contractor.id], revive_cleared=False
            )

    def _touch(self, event: Event) -> None:
        event.agenda_version += 1
        event.updated_at = self._work.clock.now()


def _require_alive(event: Event) -> None:
    if event.status in (EventStatus.CANCELLED, EventStatus.COMPLETED):
        raise Conflict(f"event {event.id} is {event.status}")
