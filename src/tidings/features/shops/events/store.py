"""What a shop tells, as it is stored: one row for each event, however often it is delivered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.engine.jobs import Job
from tidings.features.shops.jobs import EVENT_TYPES, EventData
from tidings.features.shops.models import Shop, ShopWebhookEvent
from tidings.features.shops.rules.contexts import EventContext, normalize_event_context
from tidings.log import current_request_id, get_logger
from tidings.messages.dead_letters import storable_json
from tidings.work import Unit

log = get_logger(__name__)

_LONGEST = 255


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """The row of an event, and whether it is new."""

    id: int
    is_new: bool


async def store_event(
    unit: Unit,
    shop: Shop,
    topic: str,
    event_id: str,
    raw: Mapping[str, Any],
    now: datetime,
    *,
    request_id: str | None = None,
    triggered_at: datetime | None = None,
) -> StoredEvent:
    """The row of an event, in the caller's unit of work, with its job; a known event keeps its row."""
    session = unit.session
    unique = event_id if len(event_id) <= _LONGEST else hashlib.sha256(event_id.encode()).hexdigest()
    query = select(ShopWebhookEvent).where(
        ShopWebhookEvent.shop_id == shop.id, ShopWebhookEvent.event_id == storable_json(unique)
    )
    row = await session.scalar(query)
    is_new = row is None
    if row is None:
        row = ShopWebhookEvent(
            shop_id=shop.id,
            event_id=storable_json(unique),
            topic=topic,
            object_id=normalize_event_context(topic, raw, shop.domain).object_id,
            raw=storable_json(raw),
            request_id=(request_id or current_request_id())[:100],
            triggered_at=triggered_at,
            received_at=now,
        )
        try:
            async with session.begin_nested():
                session.add(row)
        except IntegrityError:  # the same event at the same moment
            row, is_new = (await session.scalars(query)).one(), False
    if row.processed_at is None and row.error is None:
        unit.arm(event_job(row, shop.domain))
    return StoredEvent(row.id, is_new)


def event_job(row: ShopWebhookEvent, domain: str) -> Job:
    """The job that works on a stored event."""
    data = EventData(
        id=row.id, topic=row.topic, shop_id=domain, object_id=row.object_id, request_id=row.request_id
    )  # fmt: skip
    return EVENT_TYPES[row.topic].job(data)


async def shop_of(session: AsyncSession, row: ShopWebhookEvent) -> Shop:
    """The shop of a stored event."""
    return (await session.scalars(select(Shop).where(Shop.id == row.shop_id))).one()


def moment_of(event: ShopWebhookEvent, context: EventContext) -> datetime:
    """When it happened (UTC), never later than when we were told."""
    return min(context.occurred_at or event.triggered_at or event.received_at, event.received_at)


def version_of(event: ShopWebhookEvent, context: EventContext) -> datetime:
    """How new the payload is (UTC): what an older one says never counts against a newer one.

    An order's payload tells when the order was changed last, whatever its topic is about.
    """
    return min(context.updated_at or event.triggered_at or moment_of(event, context), event.received_at)
