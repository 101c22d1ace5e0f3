"""Who comes to an event: the people, and their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.feature import parse
from tidings.features.events.lookup import (
    find_event,
    find_registration,
    find_sessions,
    lock_events_of,
    require_alive,
)
from tidings.features.events.models import Event, Registration
from tidings.features.events.plan_changes import clear
from tidings.features.events.schedule import make_schedule
from tidings.features.events.schemas import ContractorIn, RegistrationIn
from tidings.messages.contacts.contractors import Contractor, find_contractor
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.contacts.saving import save_contractor
from tidings.messages.statuses import Reason
from tidings.work import Unit, Work


class Registrations:
    """People and their places at events. `region` is where phone numbers without + are read."""

    def __init__(self, work: Work, *, region: str) -> None:
        self._work = work
        self._region = region

    async def create_contractor(self, contractor: ContractorIn | Mapping[str, Any]) -> tuple[Contractor, bool]:
        """Adds a person, or completes the one whom phone or mail and the name show to be the same; says which.

        A profile that becomes complete by it brings the personal agenda of every event to come. Raises
        InvalidInput, and Conflict when two people may be meant or somebody else is adding them.
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
                        event.mark_changed(now)  # others may be told this person's name and company
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
                return await self._register(unit, event_id, wanted)
        except IntegrityError as error:
            raise Conflict(f"contractor {wanted.contractor_id} is registered for event {event_id} already") from error

    async def cancel(self, event_id: int, contractor_id: int) -> int:
        """Takes a person off an event and cancels their waiting messages; returns how many. Raises NotFound."""
        async with self._work.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            registration = await find_registration(unit.session, event_id, contractor_id)
            if registration is None:
                raise NotFound("registration of contractor", contractor_id)
            now = self._work.clock.now()
            registration.cancelled_at = registration.cancelled_at or now
            event.mark_changed(now)
            return await clear(unit, Reason.REGISTRATION_CANCELLED, now, event_id, contractor_id)

    async def _register(self, unit: Unit, event_id: int, wanted: RegistrationIn) -> Registration:
        event = await find_event(unit.session, event_id, lock=True)
        require_alive(event)
        contractor = await find_contractor(unit.session, wanted.contractor_id)
        now = self._work.clock.now()
        if event.end_time <= now:
            raise Conflict(f"event {event.id} is over")
        registration = await add_registration(unit.session, event, contractor.id, wanted.sessions, now)
        if contractor.has_complete_profile:
            registration.profile_completed_at = now
        await unit.session.flush()
        await make_schedule(unit, self._work.clock, event_id, [contractor.id])
        event.mark_changed(now)  # the others' peers may change: the next orchestration looks at the whole event
        return registration

    async def _complete_profile(self, unit: Unit, event: Event, contractor: Contractor) -> None:
        registration = await find_registration(unit.session, event.id, contractor.id)
        if registration is None or registration.cancelled_at is not None:
            return
        if registration.profile_completed_at is None and contractor.has_complete_profile:
            registration.profile_completed_at = self._work.clock.now()
            await unit.session.flush()
            await make_schedule(unit, self._work.clock, event.id, [contractor.id], revive_cleared=False)


async def add_registration(
    session: AsyncSession, event: Event, contractor_id: int, session_keys: Sequence[str], now: datetime
) -> Registration:
    """Registers a contractor, or brings a cancelled registration back.

    Raises Conflict when they are registered already, InvalidInput for a session the agenda does not have.
    """
    known = {slot.key for slot in await find_sessions(session, event.id)}
    for index, key in enumerate(session_keys):
        if key not in known:
            raise InvalidInput(f"sessions.{index}", f"event {event.id} has no session with key {key!r}")
    registration = await find_registration(session, event.id, contractor_id)
    if registration is None:
        registration = Registration(event_id=event.id, contractor_id=contractor_id)
        session.add(registration)
    elif registration.cancelled_at is None:
        raise Conflict(f"contractor {contractor_id} is registered for event {event.id} already")
    registration.session_keys = sorted(set(session_keys))
    registration.registered_at = now
    registration.profile_completed_at = None
    registration.cancelled_at = None
    await session.flush()
    return registration
