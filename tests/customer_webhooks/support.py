"""An application with a customer, and what tests do with the customer's endpoints and events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from customer_webhooks.receiver import Receiver
from support.app import deliver
from support.workshop import eventually
from tidings.app import App
from tidings.clock import Clock, ManualClock
from tidings.customer_webhooks.events import emit
from tidings.customer_webhooks.jobs import WEBHOOK_DELIVERY, WEBHOOK_EVENT
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.customer_webhooks.service import CustomerWebhooks
from tidings.messages.statuses import OPEN

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Hooks:
    """What tests do with an opened application; the queue's workers run once `start` was called."""

    def __init__(self, app: App, customer: int) -> None:
        self.app = app
        self.customer = customer

    @property
    def verbs(self) -> CustomerWebhooks:
        return self.app.chat.webhooks

    @property
    def clock(self) -> Clock:
        return self.app.clock

    def move(self, **by: float) -> None:
        """Moves the clock, which stands still otherwise."""
        assert isinstance(self.clock, ManualClock)
        self.clock.move(timedelta(**by))

    async def start(self) -> None:
        """Starts workers of the queue of webhooks."""
        await self.app.start_workers([WEBHOOK_DELIVERY.name])

    async def new_endpoint(self, receiver: Receiver | str, *events: str) -> tuple[int, str]:
        """An endpoint at a receiver, and its secret."""
        url = receiver if isinstance(receiver, str) else receiver.url
        wanted: dict[str, Any] = {"url": url, **({"events": list(events)} if events else {})}
        row, secret = await self.verbs.create_endpoint(self.customer, wanted)
        return row.id, secret

    async def emit(self, event: str = "message.sent", **facts: Any) -> list[int]:
        """Something happens that customers are told of."""
        async with self.app.work.begin() as unit:
            return await emit(unit, self.customer, event, facts, self.clock.now())

    async def emit_and_fail(self) -> None:
        """The same in a transaction that comes to nothing. Raises ZeroDivisionError."""
        async with self.app.work.begin() as unit:
            await emit(unit, self.customer, "message.sent", {}, self.clock.now())
            raise ZeroDivisionError

    async def deliver(self, event_id: int, *, last: bool = False) -> str:
        """What a worker does when the job of an event runs; the `last` attempt is the last one."""
        said: str = await deliver(self.app, WEBHOOK_EVENT, event_id, last=last)
        return said

    async def event(self, event_id: int) -> WebhookEvent:
        async with self.app.work.read() as session:
            return (await session.scalars(select(WebhookEvent).where(WebhookEvent.id == event_id))).one()

    async def events(self, name: str | None = None) -> list[WebhookEvent]:
        async with self.app.work.read() as session:
            rows = await session.scalars(select(WebhookEvent).order_by(WebhookEvent.id))
            return [row for row in rows if name in (None, row.event)]

    async def endpoint(self, endpoint_id: int) -> WebhookEndpoint:
        async with self.app.work.read() as session:
            return (await session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id))).one()

    async def set_endpoint(self, endpoint_id: int, **values: Any) -> None:
        """Changes an endpoint as time would."""
        async with self.app.work.begin() as unit:
            await unit.session.execute(
                update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(**values)
            )

    async def ended(self, event_id: int) -> WebhookEvent:
        """The event, once it is under way no more."""

        async def has_ended() -> WebhookEvent | None:
            row = await self.event(event_id)
            return None if row.status in OPEN else row

        row = await eventually(has_ended, within=15)
        assert row is not None
        return row

    async def seconds_until(self, event_id: int) -> float | None:
        """Seconds until the job of an event runs, None when there is none."""
        [job] = await self.app.queues.find(WEBHOOK_DELIVERY.name, [f"webhook-event-{event_id}"])
        return job.seconds if job else None


OpenHooks = Callable[..., Awaitable[Hooks]]
"""Opens an application with settings and parts of a test's own."""


def data_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a webhook tells, once its frame has been looked at."""
    assert set(body) == {"type", "timestamp", "data"}
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    data: dict[str, Any] = body["data"]
    return data
