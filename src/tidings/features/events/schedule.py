"""Makes the stored messages of an event equal to its plan, changing exactly what differs.

A row's `status_reason` says whose it is. The plan moves, revives and cancels rows that a plan made; what a
person scheduled, rescheduled or cancelled by hand stays as it is, and what was sent or failed is history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.features.events.lookup import find_event, find_sessions
from tidings.features.events.models import AgendaSession, Event, EventMessage, EventStatus, Registration, SessionKind
from tidings.features.events.plan_changes import Change, ScheduleResult
from tidings.features.events.rules.peers import match_peers
from tidings.features.events.rules.plan import EVENT_FACTS, SESSION_FACTS, Attendee, EventFacts, Planned, SessionFacts
from tidings.features.events.rules.timing import plan_for
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.statuses import Reason, Status
from tidings.work import Portions, Unit, Work

REVIVABLE = frozenset({Reason.PAST, Reason.NO_LONGER_PLANNED, Reason.EVENT_CANCELLED, Reason.REGISTRATION_CANCELLED})
CLEARED = frozenset({Reason.EVENT_CLEARED, Reason.CONTRACTOR_CLEARED})

CHUNK = 1000
"""People that one statement looks for."""

AT_ONCE = 500
"""Messages that one unit of work of many brings in line, about 20 ms of work."""

Key = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Basis:
    """All that the plan of an event is made from; `stamp` tells whether it has changed since."""

    stamp: tuple[int, str]
    event: EventFacts
    slots: Sequence[SessionFacts]
    attendees: Mapping[int, Attendee]
    matches: Mapping[str, Mapping[int, Attendee]]

    def plan_of(self, contractor_id: int) -> list[Planned]:
        """What the rules ask for; nothing for somebody who is not registered."""
        attendee = self.attendees.get(contractor_id)
        if attendee is None:
            return []
        peers = {key: pairs[contractor_id] for key, pairs in self.matches.items() if contractor_id in pairs}
        return plan_for(self.event, self.slots, attendee, peers)


async def read_basis(session: AsyncSession, event: Event) -> Basis:
    """What an event's plan is made from. Of a cancelled one nobody gets anything."""
    slots = [session_facts(slot) for slot in await find_sessions(session, event.id)]
    return await basis_with(session, event, event_facts(event), slots)


async def basis_with(session: AsyncSession, event: Event, facts: EventFacts, slots: Sequence[SessionFacts]) -> Basis:
    """What the plan would be made from with these facts and sessions, for the people who are registered."""
    attendees = [] if event.status == EventStatus.CANCELLED else await _attendees(session, event.id)
    networking = [slot for slot in slots if slot.kind is SessionKind.NETWORKING]
    return Basis(
        stamp=_stamp(event),
        event=facts,
        slots=slots,
        attendees={attendee.contractor_id: attendee for attendee in attendees},
        matches=match_peers(attendees, networking),
    )


def _stamp(event: Event) -> tuple[int, str]:
    return event.agenda_version, event.status


async def wanted_messages(session: AsyncSession, event: Event) -> Iterator[list[Planned]]:
    """What the rules ask for, for everybody registered; a list a person."""
    basis = await read_basis(session, event)
    return (basis.plan_of(contractor_id) for contractor_id in basis.attendees)


async def make_schedule(
    unit: Unit, clock: Clock, event_id: int, contractor_ids: Sequence[int], *, revive_cleared: bool = True
) -> ScheduleResult:
    """Brings the messages of a few people in line with an event's plan, in the caller's unit of work.

    Raises NotFound.
    """
    basis = await read_basis(unit.session, await find_event(unit.session, event_id, lock=True))
    plans = {person: basis.plan_of(person) for person in contractor_ids}
    return await _align(unit, clock, event_id, plans, revive_cleared=revive_cleared)


async def make_schedules(
    work: Work,
    event_id: int,
    contractor_ids: Sequence[int] | None = None,
    *,
    revive_cleared: bool = True,
    on_planned: Callable[[int], None] = lambda people: None,
) -> ScheduleResult:
    """Brings the messages of everybody at an event, or of these people, in line with its plan.

    That is done for some people after the other, each time in a unit of work of its own, and other messages leave in
    between. Whoever changes a plan notes it first (`Event.mark_changed`): then orchestration finishes what a process
    has begun that died, and what changes meanwhile counts from the next people on. `on_planned` hears how many people
    are planned for. Raises NotFound.
    """
    async with work.read() as session:
        basis = await read_basis(session, await find_event(session, event_id))
        people = list(contractor_ids) if contractor_ids is not None else await concerned(session, event_id, basis)
    version, result, done = basis.stamp[0], ScheduleResult(), 0
    portions = Portions(work)
    while not done or done < len(people):
        plans = some_plans(basis, people, done)
        async with portions.begin() as unit:
            event = await find_event(unit.session, event_id, lock=True)
            if _stamp(event) != basis.stamp:
                basis = await read_basis(unit.session, event)
                plans = {person: basis.plan_of(person) for person in plans}
            result.add(await _align(unit, work.clock, event_id, plans, revive_cleared=revive_cleared))
            done += len(plans)
            if contractor_ids is None and done == len(people):
                event.planned_version = max(event.planned_version, version)
        on_planned(done)
        if not plans:
            break
    return result


def some_plans(basis: Basis, people: Sequence[int], first: int) -> dict[int, list[Planned]]:
    """The plans of the next people, about AT_ONCE messages together."""
    plans: dict[int, list[Planned]] = {}
    messages = 0
    for person in people[first:]:
        plans[person] = basis.plan_of(person)
        messages += len(plans[person]) or 1
        if messages >= AT_ONCE:
            break
    return plans


async def _align(
    unit: Unit, clock: Clock, event_id: int, plans: Mapping[int, list[Planned]], *, revive_cleared: bool
) -> ScheduleResult:
    """Writes what differs between the plans of some people and their messages. The event is locked."""
    change = Change(unit, clock, event_id, revivable=REVIVABLE | (CLEARED if revive_cleared else frozenset()))
    for row, wanted in await compared(unit.session, event_id, plans):
        if row is not None:
            change.adapt(row, wanted)
        elif wanted is not None:
            await change.add(wanted)
    await change.write()
    return change.result


async def compared(
    session: AsyncSession, event_id: int, plans: Mapping[int, list[Planned]]
) -> Iterator[tuple[Any, Planned | None]]:
    """Every message that the plans of some people ask for, with its row or None, and rows that no plan asks for."""
    return _pairs(await _stored(session, event_id, list(plans)), plans)


def _pairs(stored: dict[Key, Any], plans: Mapping[int, list[Planned]]) -> Iterator[tuple[Any, Planned | None]]:
    for plan in plans.values():
        for wanted in plan:
            yield stored.pop((wanted.contractor_id, wanted.message_type, wanted.session_key), None), wanted
    for row in stored.values():
        yield row, None


async def concerned(session: AsyncSession, event_id: int, basis: Basis) -> list[int]:
    """Who is registered, and who has a planned message although they are not."""
    planned = select(EventMessage.contractor_id).where(
        EventMessage.event_id == event_id,
        EventMessage.status == Status.SCHEDULED,
        EventMessage.status_reason == Reason.PLANNED,
    )
    return sorted(basis.attendees.keys() | set(await session.scalars(planned.distinct())))


def event_facts(event: Event) -> EventFacts:
    """An event as the rules see it."""
    return EventFacts(**{name: getattr(event, name) for name in EVENT_FACTS})


def session_facts(slot: AgendaSession) -> SessionFacts:
    """An agenda slot as the rules see it."""
    facts = {name: getattr(slot, name) for name in SESSION_FACTS}
    return SessionFacts(**{**facts, "kind": SessionKind(slot.kind)})


async def _attendees(session: AsyncSession, event_id: int) -> list[Attendee]:
    rows = await session.execute(
        select(
            Registration.contractor_id,
            Contractor.name,
            Contractor.company_name,
            Registration.session_keys,
            Registration.registered_at,
            Registration.profile_completed_at,
        )
        .join(Contractor, Contractor.id == Registration.contractor_id)
        .where(Registration.event_id == event_id, Registration.cancelled_at.is_(None))
        .order_by(Registration.contractor_id)
    )
    return [
        Attendee(contractor_id, name, company, frozenset(session_keys), registered_at, completed_at)
        for contractor_id, name, company, session_keys, registered_at, completed_at in rows
    ]


async def _stored(session: AsyncSession, event_id: int, contractor_ids: Sequence[int]) -> dict[Key, Any]:
    """The columns that the plan is compared with, a row for each message."""
    found: dict[Key, Any] = {}
    for start in range(0, len(contractor_ids), CHUNK):
        theirs = EventMessage.contractor_id.in_(contractor_ids[start : start + CHUNK])
        rows = await session.execute(_STORED.where(EventMessage.event_id == event_id, theirs))
        found.update({(row.contractor_id, row.message_type, row.session_key): row for row in rows})
    return found


_STORED = select(
    EventMessage.id,
    EventMessage.contractor_id,
    EventMessage.message_type,
    EventMessage.session_key,
    EventMessage.scheduled_time,
    EventMessage.status,
    EventMessage.status_reason,
    EventMessage.personalization_data,
)
