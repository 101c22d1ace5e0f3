"""The verbs of customers' webhook endpoints: their addresses, filters, secrets and whether they get events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.customer_webhooks.events import EndpointStatus
from tidings.customer_webhooks.jobs import DELIVER_WEBHOOK, WebhookDeliveryJob
from tidings.customer_webhooks.kind import HEALTHY, disable
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.customer_webhooks.schemas import RotationIn, WebhookEndpointChange, WebhookEndpointIn
from tidings.customer_webhooks.secrets import first_secrets, rotated
from tidings.customers import Customer
from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.messages.statuses import OPEN
from tidings.providers.webhooks.addresses import read_url
from tidings.vault import Vault
from tidings.work import Work

MOST_ENDPOINTS = 20
"""Endpoints that one customer may have."""


class WebhookEndpoints:
    """Endpoints of one customer at a time: another customer's are not found.

    `_allow_private` lets webhooks go to private addresses, as `channels.webhook.Webhooks` has it.
    """

    _work: Work
    _vault: Vault
    _allow_private: bool

    async def create_webhook_endpoint(
        self, customer_id: int, endpoint: WebhookEndpointIn | Mapping[str, Any]
    ) -> tuple[WebhookEndpoint, str]:
        """Stores an endpoint and returns it with its signing secret, which is never shown again.

        Raises NotFound, InvalidInput for a URL that webhooks may not go to, and Conflict for too many endpoints.
        """
        wanted = parse(WebhookEndpointIn, endpoint)
        read_url(wanted.url, allow_private=self._allow_private)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            session = unit.session
            # Locked, so that two at once do not both find room.
            found = select(Customer.id).where(Customer.id == customer_id).with_for_update(key_share=True)
            if await session.scalar(found) is None:
                raise NotFound("customer", customer_id)
            count = select(func.count()).where(WebhookEndpoint.customer_id == customer_id)
            if (await session.scalar(count) or 0) >= MOST_ENDPOINTS:
                raise Conflict(f"customer {customer_id} has {MOST_ENDPOINTS} webhook endpoints; delete one first")
            row = WebhookEndpoint(
                customer_id=customer_id,
                url=wanted.url,
                description=wanted.description,
                events=wanted.events,
                secrets="",
                status=EndpointStatus.ACTIVE,
                consecutive_failures=0,
                created_at=now,
                updated_at=now,
            )
            session.add(row)
            await session.flush()
            secret, row.secrets = first_secrets(self._vault, row.id)
            return row, secret

    async def list_webhook_endpoints(self, customer_id: int) -> Sequence[WebhookEndpoint]:
        """A customer's endpoints in order of id."""
        query = select(WebhookEndpoint).where(WebhookEndpoint.customer_id == customer_id)
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(WebhookEndpoint.id))).all()

    async def get_webhook_endpoint(self, customer_id: int, endpoint_id: int) -> WebhookEndpoint:
        """One endpoint. Raises NotFound."""
        async with self._work.read() as session:
            return await find_endpoint(session, customer_id, endpoint_id)

    async def change_webhook_endpoint(
        self, customer_id: int, endpoint_id: int, change: WebhookEndpointChange | Mapping[str, Any]
    ) -> WebhookEndpoint:
        """Changes the URL, the description or the filters; events that wait go to the new URL.

        Raises NotFound and InvalidInput.
        """
        wanted = parse(WebhookEndpointChange, change)
        if wanted.url is not None:
            read_url(wanted.url, allow_private=self._allow_private)
        async with self._work.begin() as unit:
            row = await find_endpoint(unit.session, customer_id, endpoint_id, lock=True)
            for name in wanted.model_fields_set:
                value = getattr(wanted, name)
                if value is not None or name == "description":
                    setattr(row, name, value)
            row.updated_at = self._work.clock.now()
            return row

    async def delete_webhook_endpoint(self, customer_id: int, endpoint_id: int) -> None:
        """Deletes an endpoint and its events. Raises NotFound."""
        async with self._work.begin() as unit:
            row = await find_endpoint(unit.session, customer_id, endpoint_id, lock=True)
            events = WebhookEvent.endpoint_id == row.id
            waiting = select(WebhookEvent.id).where(events, WebhookEvent.status.in_(OPEN))
            for event_id in await unit.session.scalars(waiting):
                job_id = DELIVER_WEBHOOK.id_of(WebhookDeliveryJob(id=event_id))
                unit.disarm(DELIVER_WEBHOOK.queue.name, job_id)
            await unit.session.execute(delete(WebhookEvent).where(events))
            await unit.session.delete(row)

    async def rotate_webhook_secret(
        self, customer_id: int, endpoint_id: int, rotation: RotationIn | Mapping[str, Any] | None = None
    ) -> tuple[WebhookEndpoint, str]:
        """Makes a new signing secret, returned this once; the old one signs beside it until the overlap ends.

        Raises NotFound and InvalidInput.
        """
        wanted = parse(RotationIn, rotation or {})
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await find_endpoint(unit.session, customer_id, endpoint_id, lock=True)
            old_until = now + timedelta(hours=wanted.overlap_hours)
            secret, row.secrets = rotated(self._vault, row.id, row.secrets, now, old_until)
            row.updated_at = now
            return row, secret

    async def enable_webhook_endpoint(self, customer_id: int, endpoint_id: int) -> WebhookEndpoint:
        """Sends events to a disabled or warned endpoint again, as if nothing had failed.

        What it missed comes by a replay. Raises NotFound.
        """
        async with self._work.begin() as unit:
            row = await find_endpoint(unit.session, customer_id, endpoint_id, lock=True)
            for name, value in HEALTHY.items():
                setattr(row, name, value)
            row.status, row.disabled_at, row.disabled_reason = EndpointStatus.ACTIVE, None, None
            row.updated_at = self._work.clock.now()
            return row

    async def disable_webhook_endpoint(self, customer_id: int, endpoint_id: int) -> WebhookEndpoint:
        """Sends no more events to an endpoint; they are recorded as failed meanwhile. Raises NotFound."""
        async with self._work.begin() as unit:
            row = await find_endpoint(unit.session, customer_id, endpoint_id, lock=True)
            connection = await unit.session.connection()
            for job in await disable(connection, row.id, "somebody asked for it", self._work.clock.now()):
                unit.arm(job)
            await unit.session.refresh(row)
            return row


async def find_endpoint(
    session: AsyncSession, customer_id: int, endpoint_id: int, *, lock: bool = False
) -> WebhookEndpoint:
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.id == endpoint_id, WebhookEndpoint.customer_id == customer_id
    )
    row = await session.scalar(query.with_for_update(key_share=True) if lock else query)
    if row is None:
        raise NotFound("webhook endpoint", endpoint_id)
    return row


def require_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.status == EndpointStatus.DISABLED:
        reason = endpoint.disabled_reason or "no reason was stored"
        raise Conflict(f"webhook endpoint {endpoint.id} is disabled ({reason}); enable it first")
