"""How customers' webhooks leave: what is loaded for a claimed event, its body, and what its end says of the endpoint.

A webhook takes the road out as messages do, so the claim, the ledger, the sweep and the story of `tidings why` are
the same. Its address is the URL, its channel `webhook`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import Clock
from tidings.customer_webhooks.events import (
    ENDPOINT_DISABLED,
    ENDPOINT_WARNED,
    EndpointStatus,
    alarm,
    record,
)
from tidings.customer_webhooks.health import Health, after_failures
from tidings.customer_webhooks.jobs import WEBHOOK_KIND
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.engine.jobs import Job
from tidings.engine.policy import QueuePolicy
from tidings.log import get_logger
from tidings.messages.kind import Conclusion, Content, Letter, Outbox
from tidings.messages.statuses import Status

log = get_logger(__name__)

WEBHOOK_CHANNEL = "webhook"

_FRESH = timedelta(minutes=1)
"""How exact an endpoint's last success is, so that a busy endpoint's row is not written with every event."""


async def load(connection: AsyncConnection, ids: Sequence[int]) -> list[Letter]:
    """The letters of claimed events; every taking counts as a try, also one that ends in a wait or a crash."""
    event, endpoint = WebhookEvent, WebhookEndpoint
    await connection.execute(update(event).where(event.id.in_(ids)).values(tries=event.tries + 1))
    rows = await connection.execute(
        select(
            *(event.id, event.endpoint_id, event.webhook_id, event.event, event.payload, event.tries),
            *(event.scheduled_time, event.attempts),
            *(endpoint.customer_id, endpoint.url, endpoint.secrets, endpoint.status.label("endpoint_status")),
        )
        .join(endpoint, endpoint.id == event.endpoint_id)
        .where(event.id.in_(ids))
    )
    return [_letter(dict(row)) for row in rows.mappings()]


def _letter(row: dict[str, Any]) -> Letter:
    return Letter(
        id=row["id"],
        contact_id=None,
        scheduled_time=row["scheduled_time"],
        attempt=row["attempts"],
        channel=WEBHOOK_CHANNEL,
        address=row["url"],
        idempotency_key=row["webhook_id"],
        row=row,
    )


async def compose(letter: Letter) -> Content:
    """The event for its channel; the secrets stay sealed until it signs."""
    row = letter.row
    names = ("endpoint_id", "endpoint_status", "customer_id", "event", "payload", "secrets", "tries")
    return Content(text=row["event"], metadata={name: row[name] for name in names})


def when_sent(letter: Letter, content: Content, moment: datetime) -> dict[str, Any]:
    """When the customer's server took it."""
    return {"delivered_at": moment}


@dataclass(frozen=True)
class EndpointHealth:
    """Writes down how endpoints fare, in the transaction that records how their events ended."""

    clock: Clock

    async def conclude(self, connection: AsyncConnection, conclusions: Sequence[Conclusion]) -> list[Job]:
        """Resets the endpoints that took an event, and warns about or disables those that take none."""
        now = self.clock.now()
        took = {one.letter.row["endpoint_id"] for one in conclusions if one.status is Status.SENT}
        failed = Counter(
            one.letter.row["endpoint_id"]
            for one in conclusions
            if one.status is Status.FAILED and one.letter.row["endpoint_status"] != EndpointStatus.DISABLED
        )
        jobs: list[Job] = []
        for endpoint_id in sorted(took | failed.keys()):  # everybody locks in the same order, so nobody deadlocks
            if endpoint_id in took:
                await self._took(connection, endpoint_id, now)
            else:
                jobs += await self._failed(connection, endpoint_id, failed[endpoint_id], now)
        return jobs

    async def _took(self, connection: AsyncConnection, endpoint_id: int, now: datetime) -> None:
        endpoint = WebhookEndpoint
        worth_writing = or_(
            endpoint.consecutive_failures > 0,
            endpoint.last_success_at.is_(None),
            endpoint.last_success_at < now - _FRESH,
        )
        # A disabled one may take the last event that was under way; it stays disabled until somebody enables it.
        await connection.execute(
            update(endpoint)
            .where(endpoint.id == endpoint_id, endpoint.status != EndpointStatus.DISABLED, worth_writing)
            .values(**HEALTHY, status=EndpointStatus.ACTIVE, last_success_at=now, updated_at=now)
        )

    async def _failed(self, connection: AsyncConnection, endpoint_id: int, failures: int, now: datetime) -> list[Job]:
        endpoint = WebhookEndpoint
        found = await connection.execute(
            select(endpoint.customer_id, endpoint.consecutive_failures, endpoint.failing_since, endpoint.warned_at)
            .where(endpoint.id == endpoint_id, endpoint.status != EndpointStatus.DISABLED)
            .with_for_update(key_share=True)  # events may be recorded for it meanwhile
        )
        row = found.one_or_none()
        if row is None:
            return []
        verdict = after_failures(Health(row.consecutive_failures, row.failing_since, row.warned_at), failures, now)
        health = verdict.health
        await connection.execute(
            update(endpoint)
            .where(endpoint.id == endpoint_id)
            .values(
                consecutive_failures=health.failures,
                failing_since=health.failing_since,
                warned_at=health.warned_at,
                status=EndpointStatus.WARNED if health.warned_at else EndpointStatus.ACTIVE,
                updated_at=now,
            )
        )
        if verdict.disable:
            return await disable(connection, endpoint_id, f"{health.failures} events in a row failed", now)
        if not verdict.warn:
            return []
        facts = {
            "endpoint_id": endpoint_id,
            "consecutive_failures": health.failures,
            "failing_since": health.failing_since.isoformat() if health.failing_since else None,
        }
        log.warning("webhook endpoint fails", **facts)
        return await record(connection, row.customer_id, ENDPOINT_WARNED, facts, now, except_for=endpoint_id)


HEALTHY: dict[str, Any] = {"consecutive_failures": 0, "failing_since": None, "warned_at": None}
"""The columns of an endpoint that nothing is wrong with."""


async def disable(connection: AsyncConnection, endpoint_id: int, reason: str, now: datetime) -> list[Job]:
    """Sends an endpoint no more events and tells the customer's others; harmless when it is disabled already."""
    endpoint = WebhookEndpoint
    changed = await connection.execute(
        update(endpoint)
        .where(endpoint.id == endpoint_id, endpoint.status != EndpointStatus.DISABLED)
        .values(status=EndpointStatus.DISABLED, disabled_at=now, disabled_reason=reason, updated_at=now)
        .returning(endpoint.customer_id)
    )
    customer_id = changed.scalar_one_or_none()
    if customer_id is None:
        return []
    log.warning("webhook endpoint disabled", endpoint_id=endpoint_id, reason=reason)
    facts = {"endpoint_id": endpoint_id, "reason": reason}
    return await record(connection, customer_id, ENDPOINT_DISABLED, facts, now, except_for=endpoint_id)


def webhook_outbox(queue: QueuePolicy, clock: Clock) -> Outbox:
    """The outbox of webhook events on their (configured) queue."""
    return Outbox(
        kind=WEBHOOK_KIND,
        queue=queue,
        model=WebhookEvent,
        alarm=alarm,
        load=load,
        compose=compose,
        when_sent=when_sent,
        conclude=EndpointHealth(clock).conclude,
    )
