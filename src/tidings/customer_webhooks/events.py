"""Customer webhooks: which events there are, who hears of them, and how one is recorded with what it tells of.

A body has the shape that Standard Webhooks recommends: `type`, `timestamp` and `data`. It is stored once, so every
attempt at an event sends the same bytes.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import to_milliseconds
from tidings.customer_webhooks.jobs import DELIVER_WEBHOOK
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.engine.jobs import Job
from tidings.messages.kind import wake
from tidings.messages.statuses import Status
from tidings.work import Unit

MESSAGE_RECEIVED = "message.received"
MESSAGE_SENT = "message.sent"
MESSAGE_DELIVERED = "message.delivered"
MESSAGE_READ = "message.read"
MESSAGE_FAILED = "message.failed"
CONVERSATION_CREATED = "conversation.created"
CONVERSATION_TAKEN_OVER = "conversation.taken_over"
CONVERSATION_HANDED_BACK = "conversation.handed_back"
ENDPOINT_WARNED = "webhook.warned"
ENDPOINT_DISABLED = "webhook.disabled"
TEST = "webhook.test"

EVENTS = (
    MESSAGE_RECEIVED,
    MESSAGE_SENT,
    MESSAGE_DELIVERED,
    MESSAGE_READ,
    MESSAGE_FAILED,
    CONVERSATION_CREATED,
    CONVERSATION_TAKEN_OVER,
    CONVERSATION_HANDED_BACK,
    ENDPOINT_WARNED,
    ENDPOINT_DISABLED,
    TEST,
)
"""Every event that Tidings itself tells of; other programs may enqueue events of their own names."""

EVENT_NAME = re.compile(r"(?=.{3,64}\Z)[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+")
FILTER = re.compile(r"(?=.{1,64}\Z)(?:\*|[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*(?:\.\*)?)")

DISABLED = "the endpoint is disabled; enable it and replay the event"
"""Why an event failed that nobody tried to deliver."""


class EndpointStatus(StrEnum):
    """How an endpoint fares. A warned one still gets its events, a disabled one none."""

    ACTIVE = "active"
    WARNED = "warned"
    DISABLED = "disabled"


def hears(filters: Iterable[str], event: str) -> bool:
    """Whether one of the filters lets the event through: its name, `*`, or `message.*` for all that begin so."""
    return any(
        pattern in ("*", event) or (pattern.endswith(".*") and event.startswith(pattern[:-1])) for pattern in filters
    )


async def emit(unit: Unit, customer_id: int, event: str, payload: Mapping[str, Any], now: datetime) -> list[int]:
    """Records an event for every endpoint of the customer's that hears it, in the unit's transaction.

    Their deliveries begin after its commit. `now` is UTC. Returns the ids of the rows.
    """
    connection = await unit.session.connection()
    jobs, ids = await _record(connection, customer_id, event, payload, now)
    for job in jobs:
        unit.arm(job)
    return ids


async def record(
    connection: AsyncConnection,
    customer_id: int,
    event: str,
    payload: Mapping[str, Any],
    now: datetime,
    *,
    except_for: int | None = None,
) -> list[Job]:
    """The same where there is no unit of work; the jobs are for whoever commits to release.

    The endpoint `except_for` does not hear of it.
    """
    jobs, _ = await _record(connection, customer_id, event, payload, now, except_for)
    return jobs


async def record_for(
    connection: AsyncConnection,
    endpoints: Sequence[Any],
    event: str,
    payload: Mapping[str, Any],
    now: datetime,
    *,
    webhook_id: str | None = None,
) -> tuple[list[Job], list[int]]:
    """Records an event for the given endpoints, whatever they want to hear.

    For a disabled one it is recorded as failed, so that it can be replayed when the endpoint is enabled again. A
    single endpoint's event may have an id of its own.
    """
    moment = to_milliseconds(now)
    body = {"type": event, "timestamp": moment.isoformat().replace("+00:00", "Z"), "data": dict(payload)}
    jobs: list[Job] = []
    ids: list[int] = []
    for endpoint in endpoints:
        off = endpoint.status == EndpointStatus.DISABLED
        written = await connection.execute(
            insert(WebhookEvent)
            .values(
                endpoint_id=endpoint.id,
                webhook_id=webhook_id or f"evt_{secrets.token_hex(16)}",
                event=event,
                payload=body,
                scheduled_time=moment,
                status=Status.FAILED if off else Status.SCHEDULED,
                error_message=DISABLED if off else None,
                created_at=moment,
                updated_at=moment,
            )
            .returning(WebhookEvent.id, WebhookEvent.scheduled_time, WebhookEvent.held_until)
        )
        row = written.one()
        ids.append(row.id)
        if not off:
            jobs.append(wake(DELIVER_WEBHOOK, row))
    return jobs, ids


async def _record(
    connection: AsyncConnection,
    customer_id: int,
    event: str,
    payload: Mapping[str, Any],
    now: datetime,
    except_for: int | None = None,
) -> tuple[list[Job], list[int]]:
    endpoints = await connection.execute(
        select(WebhookEndpoint.id, WebhookEndpoint.status, WebhookEndpoint.events)
        .where(WebhookEndpoint.customer_id == customer_id)
        .order_by(WebhookEndpoint.id)
    )
    listening = [one for one in endpoints if one.id != except_for and hears(one.events, event)]
    return await record_for(connection, listening, event, payload, now)
