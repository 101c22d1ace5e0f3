"""Events as they are stored: finding a customer's own, deleting them, and having ended ones delivered again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.customer_webhooks.jobs import DELIVER_WEBHOOK
from tidings.customer_webhooks.kind import WebhookEvents
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.db.rows import locked_ids
from tidings.errors import NotFound
from tidings.messages.retention import Keeping
from tidings.messages.statuses import OPEN, Status
from tidings.work import Unit

_AGAIN: dict[str, Any] = {
    "status": Status.SCHEDULED,
    "status_reason": None,
    "error_message": None,
    "held_until": None,
    "attempts": 0,
    "tries": 0,
    "delivered_at": None,
}


def events_of(customer_id: int) -> Any:
    """The query of a customer's events, of all endpoints."""
    return (
        select(WebhookEvent)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookEvent.endpoint_id)
        .where(WebhookEndpoint.customer_id == customer_id)
    )


async def find_event(session: AsyncSession, customer_id: int, event_id: int, *, lock: bool = False) -> WebhookEvent:
    """An event of this customer. Raises NotFound, also for one of another customer."""
    query = events_of(customer_id).where(WebhookEvent.id == event_id)
    row: WebhookEvent | None = await session.scalar(query.with_for_update(of=WebhookEvent) if lock else query)
    if row is None:
        raise NotFound("webhook event", event_id)
    return row


def ended_events(endpoint_id: int, statuses: Sequence[Status], since: datetime, until: datetime) -> Any:
    """The query of an endpoint's events with these statuses of a time range (aware), the oldest first."""
    return (
        select(WebhookEvent.id, WebhookEvent.created_at)
        .where(
            WebhookEvent.endpoint_id == endpoint_id,
            WebhookEvent.status.in_(statuses),
            WebhookEvent.created_at >= since.astimezone(UTC),
            WebhookEvent.created_at <= until.astimezone(UTC),
        )
        .order_by(WebhookEvent.created_at, WebhookEvent.id)
    )


def kept_events(age: timedelta | None) -> Keeping:
    """Events are kept for `age` (None: for ever), and until they have ended."""
    return Keeping(WebhookEvent, WebhookEvent.created_at, age, lambda before: WebhookEvent.status.not_in(OPEN))


async def delete_events(unit: Unit, endpoint_id: int) -> None:
    """Deletes an endpoint's events, and the jobs of those that wait. To be called before the endpoint is locked."""
    theirs = await unit.session.execute(
        select(WebhookEvent.id, WebhookEvent.status)
        .where(WebhookEvent.endpoint_id == endpoint_id)
        .order_by(WebhookEvent.id)
        .with_for_update()
    )
    for event_id, status in theirs:
        if status in OPEN:
            unit.disarm(DELIVER_WEBHOOK.queue.name, WebhookEvents.job_id(event_id))
    await unit.session.execute(delete(WebhookEvent).where(WebhookEvent.endpoint_id == endpoint_id))


async def deliver_again(unit: Unit, ids: Sequence[int], statuses: Sequence[Status], now: datetime) -> int:
    """Has those events delivered from `now` (UTC) on that still have one of the statuses, with fresh attempts.

    Returns how many.
    """
    which = locked_ids(WebhookEvent, WebhookEvent.id.in_(ids), WebhookEvent.status.in_(statuses))
    again = {**_AGAIN, "scheduled_time": now, "updated_at": now}
    rows = await unit.session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(which))
        .values(again)
        .returning(WebhookEvent.id, WebhookEvent.scheduled_time, WebhookEvent.held_until)
        .execution_options(synchronize_session=False)
    )
    found = rows.all()
    for row in found:
        unit.arm(WebhookEvents.job(row))
    return len(found)
