"""Customers with webhook endpoints, and the queue, the road and the worker that serve them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

from sqlalchemy import select, update

from chat.receiver import Receiver
from tidings.clock import Clock, SystemClock
from tidings.customer_webhooks.events import emit
from tidings.customer_webhooks.jobs import DELIVER_WEBHOOK, WEBHOOK_DELIVERY, WebhookDeliveryJob
from tidings.customer_webhooks.kind import webhook_outbox
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.customer_webhooks.provider import WebhookChannel
from tidings.customer_webhooks.service import CustomerWebhooks
from tidings.customer_webhooks.worker import WebhookWorker
from tidings.customers import Customer
from tidings.db.database import open_database
from tidings.engine.host import WorkerHost
from tidings.engine.jobs import Handler, Run
from tidings.engine.queues import Queues
from tidings.engine.redis import connect
from tidings.messages.delivery.pipeline import Road, Ways
from tidings.messages.delivery.recovery import Sweep
from tidings.messages.gate.policy import Rules
from tidings.messages.statuses import OPEN
from tidings.providers.webhooks.send import Webhooks
from tidings.vault import Vault
from tidings.work import Work


class Webhookery(CustomerWebhooks):
    """The verbs alone, as the chat's service has them."""

    def __init__(self, work: Work, vault: Vault, *, allow_private: bool) -> None:
        self._work = work
        self._vault = vault
        self._allow_private = allow_private


class Post:
    """One installation. Its endpoints may be on this machine unless `public_only`; `backoff` is in seconds."""

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        prefix: str,
        *,
        clock: Clock | None = None,
        backoff: float = 0.02,
        timeout: float = 5.0,
        public_only: bool = False,
    ) -> None:
        self.clock = clock or SystemClock()
        self.policy = replace(WEBHOOK_DELIVERY, backoff=backoff)
        self._redis_url, self._prefix = redis_url, prefix
        self._database = open_database(database_url)
        self._redis = connect(redis_url)
        self.queues = Queues([self.policy], self._redis, prefix=prefix, clock=self.clock)
        self.work = Work(self._database, self.queues, self.clock)
        self.vault = Vault([Vault.generate()])
        self.verbs = Webhookery(self.work, self.vault, allow_private=not public_only)
        webhooks = Webhooks(allow_private=not public_only, timeout=timeout)
        self.channel = WebhookChannel(webhooks, self.vault, self.work, attempts=self.policy.attempts)
        self.outbox = webhook_outbox(self.policy, self.clock)
        self._worker = WebhookWorker(
            Road(self.outbox, self.work, Ways({"webhook": self.channel}), Rules(), deadline=timeout)
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._database.close)
        self._stack.push_async_callback(self._redis.aclose)
        self._stack.push_async_callback(self.channel.close)
        self.customer = await self.new_customer("Corner Shop")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def new_customer(self, name: str) -> int:
        now = self.clock.now()
        async with self.work.begin() as unit:
            row = Customer(name=name, created_at=now, updated_at=now)
            unit.session.add(row)
            await unit.session.flush()
            return row.id

    async def new_endpoint(self, receiver: Receiver | str, *events: str) -> tuple[int, str]:
        """An endpoint at a receiver, and its secret."""
        url = receiver if isinstance(receiver, str) else receiver.url
        wanted: dict[str, Any] = {"url": url, **({"events": list(events)} if events else {})}
        row, secret = await self.verbs.create_webhook_endpoint(self.customer, wanted)
        return row.id, secret

    async def emit(self, event: str = "message.sent", **facts: Any) -> list[int]:
        """Something happens that customers are told of."""
        async with self.work.begin() as unit:
            return await emit(unit, self.customer, event, facts, self.clock.now())

    async def emit_and_fail(self) -> None:
        """The same in a transaction that comes to nothing. Raises ZeroDivisionError."""
        async with self.work.begin() as unit:
            await emit(unit, self.customer, "message.sent", {}, self.clock.now())
            raise ZeroDivisionError

    def start(self) -> None:
        """Starts the queue's worker; it is closed with the installation."""
        host = WorkerHost(self.queues, lambda: connect(self._redis_url), prefix=self._prefix, lock_duration=30.0)
        host.start(self.policy, [Handler(DELIVER_WEBHOOK, self._worker.deliver)])
        self._stack.push_async_callback(host.close, 0.1)

    async def deliver(self, event_id: int, *, attempt: int = 1) -> str:
        """What the worker does when the job of an event runs, by the installation's own clock."""
        run = Run(job_id="test", attempt=attempt, last=attempt >= self.policy.attempts, request_id="test")
        return await self._worker.deliver(WebhookDeliveryJob(id=event_id), run)

    async def rebuild(self) -> int:
        """What the sweep does when Redis was emptied."""
        return await Sweep(self.work, [self.outbox], [], interval=60.0).rebuild()

    async def event(self, event_id: int) -> WebhookEvent:
        async with self.work.read() as session:
            return (await session.scalars(select(WebhookEvent).where(WebhookEvent.id == event_id))).one()

    async def events(self, name: str | None = None) -> list[WebhookEvent]:
        async with self.work.read() as session:
            rows = await session.scalars(select(WebhookEvent).order_by(WebhookEvent.id))
            return [row for row in rows if name in (None, row.event)]

    async def endpoint(self, endpoint_id: int) -> WebhookEndpoint:
        async with self.work.read() as session:
            return (await session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id))).one()

    async def set_endpoint(self, endpoint_id: int, **values: Any) -> None:
        """Changes an endpoint as time would."""
        async with self.work.begin() as unit:
            await unit.session.execute(
                update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(**values)
            )

    async def ended(self, event_id: int) -> WebhookEvent:
        """The event, once it is under way no more."""
        async with asyncio.timeout(15):
            while (row := await self.event(event_id)).status in OPEN:
                await asyncio.sleep(0.01)
        return row

    async def seconds_until(self, event_id: int) -> float | None:
        """Seconds until the job of an event runs, None when there is none."""
        [job] = await self.queues.find(self.policy.name, [f"webhook-event-{event_id}"])
        return job.seconds if job else None


def data_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a webhook tells, once its frame has been looked at."""
    assert set(body) == {"type", "timestamp", "data"}
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    data: dict[str, Any] = body["data"]
    return data
