"""What happens to customers' endpoints: they take events or do not, are warned about, disabled and enabled again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.customer_webhooks.events import ENDPOINT_DISABLED, ENDPOINT_WARNED, EndpointStatus, record
from tidings.customer_webhooks.health import Health, after_failures
from tidings.customer_webhooks.models import WebhookEndpoint
from tidings.engine.jobs import Job
from tidings.errors import Conflict, NotFound
from tidings.log import get_logger

log = get_logger(__name__)

_FRESH = timedelta(minutes=1)
"""How exact an endpoint's last success is, so that a busy endpoint's row is not written with every event."""

_HEALTHY: dict[str, Any] = {"consecutive_failures": 0, "failing_since": None, "warned_at": None}
"""The columns of an endpoint that nothing is wrong with."""


async def find_endpoint(
    session: AsyncSession, customer_id: int, endpoint_id: int, *, lock: bool = False
) -> WebhookEndpoint:
    """An endpoint of this customer. Raises NotFound, also for one of another customer."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id, WebhookEndpoint.customer_id == customer_id
    )
    row = await session.scalar(query.with_for_update(key_share=True) if lock else query)
    if row is None:
        raise NotFound("webhook endpoint", endpoint_id)
    return row


def require_enabled(endpoint: WebhookEndpoint) -> None:
    """Raises Conflict for a disabled endpoint, which gets no events."""
    if endpoint.status == EndpointStatus.DISABLED:
        reason = endpoint.disabled_reason or "no reason was stored"
        raise Conflict(f"webhook endpoint {endpoint.id} is disabled ({reason}); enable it first")


def enable(endpoint: WebhookEndpoint, now: datetime) -> None:
    """Sends events to a locked endpoint again, as if nothing had failed."""
    for name, value in _HEALTHY.items():
        setattr(endpoint, name, value)
    endpoint.status, endpoint.disabled_at, endpoint.disabled_reason = EndpointStatus.ACTIVE, None, None
    endpoint.updated_at = now


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


async def took_event(connection: AsyncConnection, endpoint_id: int, now: datetime) -> None:
    """An event was delivered, which ends a row of failures."""
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
        .values(**_HEALTHY, status=EndpointStatus.ACTIVE, last_success_at=now, updated_at=now)
    )


async def failed_events(connection: AsyncConnection, endpoint_id: int, failures: int, now: datetime) -> list[Job]:
    """So many more events failed for good: an endpoint that takes none is warned about, and then disabled."""
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
