"""Makes the stored messages of an event equal to its plan, changing exactly what differs.

A row's `status_reason` says whose it is. The plan moves, revives and cancels rows that a plan made; what a
person scheduled, rescheduled or cancelled by hand stays as it is, and what was sent or failed is history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Select, select
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
from tidings.work import Unit

REVIVABLE = frozenset({Reason.PAST, Reason.NO_LONGER_PLANNED, Reason.EVENT_CANCELLED, Reason.REGISTRATION_CANCELLED})
CLEARED = frozenset({Reason.EVENT_CLEARED, Reason.CONTRACTOR_CLEARED})

CHUNK = 1000
"""People that one statement looks for."""

Key = tuple[int, str, str]


async def wanted_messages(
    session: AsyncSession, event: Event, contractor_ids: Sequence[int] | None = None
) -> Iterator[list[Planned]]:
    """What the rules ask for, for everybody registered or only for the given contractors; a list a person."""
    if event.status == EventStatus.CANCELLED:
        return iter(())
    slots = [session_facts(slot) for slot in await find_sessions(session, event.id)]
    attendees = await _attendees(session, event.id)
    networking = [slot for slot in slots if slot.kind is SessionKind.NETWORKING]
    matches = match_peers(attendees, networking)
    facts = event_facts(event)
    chosen = None if contractor_ids is None else set(contractor_ids)

    def plan_of(attendee: Attendee) -> list[Planned]:
        person = attendee.contractor_id
        peers = {key: pairs[person] for key, pairs in matches.items() if person in pairs}
        return plan_for(facts, slots, attendee, peers)

    return (plan_of(attendee) for attendee in attendees if chosen is None or attendee.contractor_id in chosen)


async def make_schedule(
    unit: Unit,
    clock: Clock,
    event_id: int,
    *,
    contractor_ids: Sequence[int] | None = None,
    revive_cleared: bool = True,
    on_planned: Callable[[int], None] = lambda people: None,
) -> ScheduleResult:
    """Brings the event's messages in line with its plan, in the caller's unit of work. Raises NotFound.

    `on_planned` hears how many people are planned for.
    """
    event = await find_event(unit.session, event_id, lock=True)
    plans = await wanted_messages(unit.session, event, contractor_ids)
    stored = await _stored(unit.session, event_id, contractor_ids)
    change = Change(unit, clock, event_id, revivable=REVIVABLE | (CLEARED if revive_cleared else frozenset()))
    for number, plan in enumerate(plans, start=1):
        for wanted in plan:
            row = stored.pop((wanted.contractor_id, wanted.message_type, wanted.session_key), None)
            if row is None:
                await change.add(wanted)
            else:
                change.adapt(row, wanted)
        on_planned(number)
    for row in stored.values():
        if row.status == Status.SCHEDULED and row.status_reason == Reason.PLANNED:
            change.cancel(row)
    await change.write()
    if contractor_ids is None:
        event.planned_version = event.agenda_version
    return change.result


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


async def _stored(session: AsyncSession, event_id: int, contractor_ids: Sequence[int] | None) -> dict[Key, Any]:
    """The columns that the plan is compared with, a row for each message."""
    theirs = _STORED.where(EventMessage.event_id == event_id)
    found: dict[Key, Any] = {}
    for query in (theirs,) if contractor_ids is None else _about(theirs, contractor_ids):
        rows = await session.execute(query)
        found.update({(row.contractor_id, row.message_type, row.session_key): row for row in rows})
    return found


def _about(query: Select[Any], contractor_ids: Sequence[int]) -> Iterator[Select[Any]]:
    for start in range(0, len(contractor_ids), CHUNK):
        yield query.where(EventMessage.contractor_id.in_(contractor_ids[start : start + CHUNK]))


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
