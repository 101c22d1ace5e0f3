"""What an event's forecast is made from: its plan, the rows that exist, and whoever else uses the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.engine.policy import RateLimit
from tidings.features.events import views
from tidings.features.events.lookup import find_event, find_sessions
from tidings.features.events.models import Event, EventMessage, Registration
from tidings.features.events.rules.forecast import Forecast, forecast
from tidings.features.events.rules.limiter import Arrival
from tidings.features.events.rules.plan import EventFacts, Planned, SessionFacts
from tidings.features.events.rules.timing import useful_until
from tidings.features.events.schedule import event_facts, session_facts, wanted_messages
from tidings.features.events.types import FACTS, MessageType
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.statuses import OPEN, Reason, Status
from tidings.work import Work


@dataclass(frozen=True, slots=True)
class EventForecast:
    """An event's forecast, and what is known already.

    `settled` says how many messages will not change any more: sent, simulated, failed, skipped or cancelled,
    and why.
    `unreachable` are the names of the registered people without a phone number.
    """

    event: Event
    people: int
    forecast: Forecast
    settled: tuple[tuple[Status, Reason | None, int], ...]
    unreachable: tuple[str, ...]


async def forecast_event(work: Work, event_id: int, rate_limit: RateLimit | None) -> EventForecast:
    """What an event would send from now on under a rate limit. Raises NotFound.

    Rows are the truth: those that wait count with their own times, whoever set them. The plan adds what has no
    row yet. Waiting messages of other events take their places in the queue.
    """
    async with work.read() as session:
        event = await find_event(session, event_id)
        plans = await wanted_messages(session, event)
        rows = await _rows(session, event_id)
        waiting = [message for message, status in rows.values() if status in OPEN]
        missing = [message for plan in plans for message in plan if _key(message) not in rows]
        facts = event_facts(event)
        slots = {slot.key: session_facts(slot) for slot in await find_sessions(session, event_id)}
        return EventForecast(
            event=event,
            people=len(await _names(session, event_id)),
            forecast=forecast(
                missing,
                work.clock.now(),
                rate_limit,
                waiting=waiting,
                others=await _others(session, event_id, [*missing, *waiting]),
                useful_until=lambda kind, time, key: _useful_until(facts, slots, kind, time, key),
            ),
            settled=tuple(line for line in await views.counts(session, event_id) if line[0] not in OPEN),
            unreachable=await _names(session, event_id, Contractor.phone.is_(None)),
        )


def _useful_until(
    event: EventFacts, slots: Mapping[str, SessionFacts], kind: MessageType, time: datetime, session_key: str
) -> datetime:
    return useful_until(kind, time, event, slots.get(session_key))


_Key = tuple[int, str, str]


def _key(message: Planned) -> _Key:
    return message.contractor_id, message.message_type, message.session_key


async def _rows(session: AsyncSession, event_id: int) -> dict[_Key, tuple[Planned, str]]:
    """Every stored message of the event, with its status."""
    rows = await session.execute(
        select(
            EventMessage.contractor_id,
            EventMessage.message_type,
            EventMessage.session_key,
            EventMessage.scheduled_time,
            EventMessage.status,
        ).where(EventMessage.event_id == event_id)
    )
    stored = [
        (Planned(contractor_id, MessageType(message_type), key, time), status)
        for contractor_id, message_type, key, time, status in rows
    ]
    return {_key(message): (message, status) for message, status in stored}


async def _others(session: AsyncSession, event_id: int, ours: Sequence[Planned]) -> list[Arrival]:
    """Waiting messages of other events that could stand before ours in the queue."""
    last = max((message.scheduled_time for message in ours), default=None)
    if last is None:
        return []
    rows = await session.execute(
        select(EventMessage.scheduled_time, EventMessage.message_type, func.count())
        .where(EventMessage.status.in_(OPEN), EventMessage.event_id != event_id, EventMessage.scheduled_time <= last)
        .group_by(EventMessage.scheduled_time, EventMessage.message_type)
    )
    return [Arrival(time, FACTS[MessageType(message_type)].priority, count) for time, message_type, count in rows]


async def _names(session: AsyncSession, event_id: int, *conditions: ColumnElement[bool]) -> tuple[str, ...]:
    """The names of the people registered whom the conditions hold for, in the order of the alphabet."""
    names = await session.scalars(
        select(Contractor.name)
        .join(Registration, Registration.contractor_id == Contractor.id)
        .where(Registration.event_id == event_id, Registration.cancelled_at.is_(None), *conditions)
        .order_by(Contractor.name, Contractor.id)
    )
    return tuple(names)
