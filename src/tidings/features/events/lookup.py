"""Finds stored events, what belongs to them, and their messages; whoever changes them locks them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict, NotFound
from tidings.features.events.models import AgendaSession, Event, EventMessage, EventStatus, Registration
from tidings.messages.contacts.addresses import contacts_with


async def find_event(session: AsyncSession, event_id: int, *, lock: bool = False) -> Event:
    """The event; with `lock` no other unit of work changes its plan meanwhile. Raises NotFound."""
    query = select(Event).where(Event.id == event_id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = await session.scalar(query)
    if found is None:
        raise NotFound("event", event_id)
    return found


async def find_sessions(session: AsyncSession, event_id: int) -> Sequence[AgendaSession]:
    """The event's agenda, in order of time."""
    query = select(AgendaSession).where(AgendaSession.event_id == event_id)
    return (await session.scalars(query.order_by(AgendaSession.start_time, AgendaSession.key))).all()


async def find_registration(session: AsyncSession, event_id: int, contractor_id: int) -> Registration | None:
    """The registration, cancelled or not."""
    return await session.scalar(
        select(Registration).where(Registration.event_id == event_id, Registration.contractor_id == contractor_id)
    )


async def find_message(session: AsyncSession, message_id: int, *, lock: bool = False) -> EventMessage:
    """The message; with `lock` no worker takes it until the unit of work ends. Raises NotFound."""
    query = select(EventMessage).where(EventMessage.id == message_id)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("event message", message_id)
    return row


async def lock_events_of(session: AsyncSession, phone: str | None, email: str | None) -> Sequence[Event]:
    """The living events that anybody with this phone or mail is registered for, locked in order of id."""
    people = {one for address in (phone, email) if address for one in await contacts_with(session, address)}
    return await lock_events_of_contacts(session, people)


async def lock_events_of_contacts(session: AsyncSession, contact_ids: Collection[int]) -> Sequence[Event]:
    """The living events that any of the contacts is registered for, locked in order of id."""
    theirs = select(Registration.event_id).where(
        Registration.cancelled_at.is_(None), Registration.contractor_id.in_(sorted(contact_ids))
    )
    events = await session.scalars(
        select(Event)
        .where(Event.id.in_(theirs), Event.status.in_((EventStatus.UPCOMING, EventStatus.LIVE)))
        .order_by(Event.id)
        .with_for_update(key_share=True)
    )
    return events.all()


def require_alive(event: Event) -> None:
    """Raises Conflict for an event that is over or cancelled."""
    if event.status in (EventStatus.CANCELLED, EventStatus.COMPLETED):
        raise Conflict(f"event {event.id} is {event.status}")
