"""The verbs of customers' webhook events: listing them with their status, testing an endpoint, and replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.customer_webhooks.endpoints import WebhookEndpoints, find_endpoint, require_enabled
from tidings.customer_webhooks.events import TEST, alarm, emit, record_for
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.customer_webhooks.schemas import EventsReplayed, EventStatus, ReplayIn, WebhookDeliveryIn
from tidings.customers import Customer
from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.messages.statuses import OPEN, Status
from tidings.work import Unit

MOST_REPLAYED = 1000
"""Events that one call replays, the oldest first."""

_WITH_STATUS = {
    EventStatus.PENDING: OPEN,
    EventStatus.DELIVERED: (Status.SENT,),
    EventStatus.FAILED: (Status.FAILED,),
}
_AGAIN: dict[str, Any] = {
    "status": Status.SCHEDULED,
    "status_reason": None,
    "error_message": None,
    "held_until": None,
    "attempts": 0,
    "tries": 0,
    "delivered_at": None,
}


class CustomerWebhooks(WebhookEndpoints):
    """Webhooks of one customer at a time, endpoints and events; another customer's are not found."""

    async def send_test_webhook(self, customer_id: int, endpoint_id: int) -> WebhookEvent:
        """Sends the event webhook.test to one endpoint, whatever it wants to hear.

        Raises NotFound, and Conflict when the endpoint is disabled.
        """
        async with self._work.begin() as unit:
            row = await find_endpoint(unit.session, customer_id, endpoint_id)
            require_enabled(row)
            connection = await unit.session.connection()
            facts = {"endpoint_id": row.id, "note": "A test: this endpoint can be reached."}
            jobs, ids = await record_for(connection, [row], TEST, facts, self._work.clock.now())
            for job in jobs:
                unit.arm(job)
            return await _find_event(unit.session, customer_id, ids[0])

    async def enqueue_webhook_delivery(
        self, customer_id: int, event: str, payload: Mapping[str, Any] | None = None
    ) -> list[int]:
        """Tells a customer's endpoints of an event of another program's; returns the ids of what was recorded.

        The specification's `enqueueWebhookDelivery`. Raises NotFound and InvalidInput.
        """
        wanted = parse(WebhookDeliveryIn, {"event": event, "payload": dict(payload or {})})
        async with self._work.begin() as unit:
            if await unit.session.get(Customer, customer_id) is None:
                raise NotFound("customer", customer_id)
            return await emit(unit, customer_id, wanted.event, wanted.payload, self._work.clock.now())

    async def list_webhook_events(
        self,
        customer_id: int,
        *,
        endpoint_id: int | None = None,
        status: EventStatus | None = None,
        event: str | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> Sequence[WebhookEvent]:
        """A customer's events in order of id; the last id is the next page's `after_id`."""
        query = _events_of(customer_id).where(WebhookEvent.id > after_id)
        if endpoint_id is not None:
            query = query.where(WebhookEvent.endpoint_id == endpoint_id)
        if status is not None:
            query = query.where(WebhookEvent.status.in_(_WITH_STATUS[status]))
        if event is not None:
            query = query.where(WebhookEvent.event == event)
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(WebhookEvent.id).limit(limit))).all()

    async def get_webhook_event(self, customer_id: int, event_id: int) -> WebhookEvent:
        """One event. Raises NotFound."""
        async with self._work.read() as session:
            return await _find_event(session, customer_id, event_id)

    async def replay_webhook_event(self, customer_id: int, event_id: int) -> WebhookEvent:
        """Delivers one event again, under the same id; it may have been delivered before.

        Raises NotFound, and Conflict while it is under way or its endpoint is disabled.
        """
        now = to_milliseconds(self._work.clock.now())
        async with self._work.begin() as unit:
            row = await _find_event(unit.session, customer_id, event_id, lock=True)
            if row.status in OPEN:
                raise Conflict(f"webhook event {row.id} is still under way; wait for its end")
            require_enabled(await find_endpoint(unit.session, customer_id, row.endpoint_id))
            await _deliver_again(unit, [row.id], now)
            await unit.session.refresh(row)
            return row

    async def replay_webhook_events(
        self, customer_id: int, endpoint_id: int, wanted: ReplayIn | Mapping[str, Any]
    ) -> EventsReplayed:
        """Delivers an endpoint's ended events of a time range again, at most 1,000 a call, the oldest first.

        Raises NotFound, InvalidInput, and Conflict when the endpoint is disabled.
        """
        chosen = parse(ReplayIn, wanted)
        now = to_milliseconds(self._work.clock.now())
        ended = (Status.FAILED,) if chosen.only_failed else (Status.FAILED, Status.SENT)
        query = (
            select(WebhookEvent.id, WebhookEvent.created_at)
            .where(
                WebhookEvent.endpoint_id == endpoint_id,
                WebhookEvent.status.in_(ended),
                WebhookEvent.created_at >= chosen.since.astimezone(UTC),
                WebhookEvent.created_at <= (chosen.until or now).astimezone(UTC),
            )
            .order_by(WebhookEvent.created_at, WebhookEvent.id)
            .limit(MOST_REPLAYED + 1)
            .with_for_update()
        )
        async with self._work.begin() as unit:
            require_enabled(await find_endpoint(unit.session, customer_id, endpoint_id))
            rows = (await unit.session.execute(query)).all()
            chosen_ids = [row.id for row in rows[:MOST_REPLAYED]]
            await _deliver_again(unit, chosen_ids, now)
            further = rows[MOST_REPLAYED].created_at if len(rows) > MOST_REPLAYED else None
            return EventsReplayed(events=len(chosen_ids), next_since=further)


async def _deliver_again(unit: Unit, ids: Sequence[int], now: datetime) -> None:
    again = {**_AGAIN, "scheduled_time": now, "updated_at": now}
    rows = await unit.session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(ids))
        .values(again)
        .returning(WebhookEvent.id, WebhookEvent.scheduled_time, WebhookEvent.held_until)
        .execution_options(synchronize_session=False)
    )
    for row in rows:
        unit.arm(alarm(row))


def _events_of(customer_id: int) -> Any:
    return (
        select(WebhookEvent)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookEvent.endpoint_id)
        .where(WebhookEndpoint.customer_id == customer_id)
    )


async def _find_event(session: AsyncSession, customer_id: int, event_id: int, *, lock: bool = False) -> WebhookEvent:
    query = _events_of(customer_id).where(WebhookEvent.id == event_id)
    row: WebhookEvent | None = await session.scalar(query.with_for_update(of=WebhookEvent) if lock else query)
    if row is None:
        raise NotFound("webhook event", event_id)
    return row
