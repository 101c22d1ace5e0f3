"""Stored messages as people read them: with the names of person and event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.events.jobs import EVENT_MESSAGE
from tidings.features.events.models import Event, EventMessage
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import OPEN, Reason, Status


async def upcoming(session: AsyncSession, until: datetime, limit: int) -> list[dict[str, Any]]:
    """Messages that are still to go out before `until`, the next one first."""
    filters = (EventMessage.status.in_(OPEN), EventMessage.scheduled_time <= until)
    return await _select(session, filters, (EventMessage.scheduled_time, EventMessage.id), limit)


async def page(session: AsyncSession, wanted: Mapping[str, Any], after_id: int, limit: int) -> list[dict[str, Any]]:
    """Messages whose columns equal the given values (None: any), in order of id."""
    filters = [getattr(EventMessage, name) == value for name, value in wanted.items() if value is not None]
    return await _select(session, [EventMessage.id > after_id, *filters], (EventMessage.id,), limit)


async def counts(session: AsyncSession, event_id: int) -> list[tuple[Status, Reason | None, int]]:
    """How many messages of an event have which status for which reason."""
    rows = await session.execute(
        select(EventMessage.status, EventMessage.status_reason, func.count())
        .where(EventMessage.event_id == event_id)
        .group_by(EventMessage.status, EventMessage.status_reason)
        .order_by(EventMessage.status, EventMessage.status_reason)
    )
    return [(Status(status), Reason(reason) if reason else None, count) for status, reason, count in rows]


async def deliveries(session: AsyncSession, event_id: int, after_id: int, limit: int) -> list[dict[str, Any]]:
    """The ledger's lines about an event's messages, from the one after `after_id`, with what they are about."""
    rows = await session.execute(
        select(LedgerEntry, EventMessage, Contractor.name)
        .join(EventMessage, EventMessage.id == LedgerEntry.message_id)
        .join(Contractor, Contractor.id == EventMessage.contractor_id)
        .where(LedgerEntry.kind == EVENT_MESSAGE, EventMessage.event_id == event_id, LedgerEntry.id > after_id)
        .order_by(LedgerEntry.id)
        .limit(limit)
    )
    return [
        {
            **{column.key: getattr(line, column.key) for column in LedgerEntry.__table__.columns},
            "message_type": message.message_type,
            "scheduled_time": message.scheduled_time,
            "personalization_data": message.personalization_data,
            "contractor_name": contractor,
        }
        for line, message, contractor in rows
    ]


async def _select(
    session: AsyncSession, filters: Sequence[ColumnElement[bool]], order: Sequence[Any], limit: int
) -> list[dict[str, Any]]:
    rows = await session.execute(
        select(EventMessage, Contractor.name, Event.name, Event.timezone)
        .join(Contractor, Contractor.id == EventMessage.contractor_id)
        .join(Event, Event.id == EventMessage.event_id)
        .where(*filters)
        .order_by(*order)
        .limit(limit)
    )
    return [
        {
            **{column.key: getattr(message, column.key) for column in EventMessage.__table__.columns},
            "contractor_name": contractor,
            "event_name": event,
            "event_timezone": timezone,
        }
        for message, contractor, event, timezone in rows
    ]
