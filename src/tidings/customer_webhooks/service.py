"""The verbs of customers' webhooks: their endpoints, and the events that these are told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from tidings.clock import to_milliseconds
from tidings.customer_webhooks.endpoints import disable, enable, find_endpoint, require_enabled
from tidings.customer_webhooks.events import TEST, EndpointStatus, emit, record_for
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.customer_webhooks.schemas import (
    EventsReplayed,
    ReplayIn,
    RotationIn,
    WebhookDeliveryIn,
    WebhookEndpointChange,
    WebhookEndpointIn,
    WebhookEventStatus,
)
from tidings.customer_webhooks.secrets import first_secrets, rotated
from tidings.customer_webhooks.stored import delete_events, deliver_again, ended_events, events_of, find_event
from tidings.customers import Customer
from tidings.db.vault_keys import note_key
from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.messages.statuses import OPEN, Status
from tidings.providers.webhooks.addresses import read_url
from tidings.vault import Vault
from tidings.work import Work

MOST_ENDPOINTS = 20
"""Endpoints that one customer may have."""

MOST_REPLAYED = 1000
"""Events that one call replays, the oldest first."""

_WITH_STATUS = {
    WebhookEventStatus.PENDING: OPEN,
    WebhookEventStatus.DELIVERED: (Status.SENT,),
    WebhookEventStatus.FAILED: (Status.FAILED,),
}


class CustomerWebhooks:
    """Webhooks of one customer at a time, endpoints and events: another customer's are not found.

    `allow_private` lets webhooks go to private addresses, as `providers.webhooks` has it.
    """

    def __init__(self, work: Work, vault: Vault, *, allow_private: bool) -> None:
        self._work = work
        self._vault = vault
        self._allow_private = allow_private

    async def create_endpoint(
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
            await note_key(session, self._vault.names)
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

    async def list_endpoints(self, customer_id: int) -> Sequence[WebhookEndpoint]:
        """A customer's endpoints in order of id."""
        query = select(WebhookEndpoint).where(WebhookEndpoint.customer_id == customer_id)
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(WebhookEndpoint.id))).all()

    async def get_endpoint(self, customer_id: int, endpoint_id: int) -> WebhookEndpoint:
        """One endpoint. Raises NotFound."""
        async with self._work.read() as session:
            return await find_endpoint(session, customer_id, endpoint_id)

    async def change_endpoint(
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

    async def delete_endpoint(self, customer_id: int, endpoint_id: int) -> None:
        """Deletes an endpoint and its events. Raises NotFound."""
        async with self._work.begin() as unit:
            await find_endpoint(unit.session, customer_id, endpoint_id)
            # The events before their endpoint, as everybody locks them who delivers one.
            await delete_events(unit, endpoint_id)
            await unit.session.delete(await find_endpoint(unit.session, customer_id, endpoint_id, lock=True))

    async def rotate_secret(
        self, customer_id: int, endpoint_id: int, rotation: RotationIn | Mapping[str, Any] | None = None
    ) -> tuple[WebhookEndpoint, str]:
        """Makes a new signing secret, returned this once; the old one signs beside it until the overlap ends.

        Raises NotFound and InvalidInput.
        """
        wanted = parse(RotationIn, rotation or {})
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            await note_key(unit.session, self._vault.names)
            row = await find_endpoint(unit.session, customer_id, endpoint_id, lock=True)
            old_until = now + timedelta(hours=wanted.overlap_hours)
            secret, row.secrets = rotated(self._vault, row.id, row.secrets, now, old_until)
            row.updated_at = now
            return row, secret

    async def enable_endpoint(self, customer_id: int, endpoint_id: int) -> WebhookEndpoint:
        """Sends events to a disabled or warned endpoint again, as if nothing had failed.

        What it missed comes by a replay. Raises NotFound.
        """
        async with self._work.begin() as unit:
            row = await find_endpoint(unit.session, customer_id, endpoint_id, lock=True)
            enable(row, self._work.clock.now())
            return row

    async def disable_endpoint(self, customer_id: int, endpoint_id: int) -> WebhookEndpoint:
        """Sends no more events to an endpoint; they are recorded as failed meanwhile. Raises NotFound."""
        async with self._work.begin() as unit:
            row = await find_endpoint(unit.session, customer_id, endpoint_id, lock=True)
            connection = await unit.session.connection()
            for job in await disable(connection, row.id, "somebody asked for it", self._work.clock.now()):
                unit.arm(job)
            await unit.session.refresh(row)
            return row

    async def send_test(self, customer_id: int, endpoint_id: int) -> WebhookEvent:
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
            return await find_event(unit.session, customer_id, ids[0])

    async def enqueue(self, customer_id: int, event: str, payload: Mapping[str, Any] | None = None) -> list[int]:
        """Tells a customer's endpoints of an event of another program's; returns the ids of what was recorded.

        Raises NotFound and InvalidInput.
        """
        wanted = parse(WebhookDeliveryIn, {"event": event, "payload": dict(payload or {})})
        async with self._work.begin() as unit:
            if await unit.session.get(Customer, customer_id) is None:
                raise NotFound("customer", customer_id)
            return await emit(unit, customer_id, wanted.event, wanted.payload, self._work.clock.now())

    async def list_events(
        self,
        customer_id: int,
        *,
        endpoint_id: int | None = None,
        status: WebhookEventStatus | None = None,
        event: str | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> Sequence[WebhookEvent]:
        """A customer's events in order of id; the last id is the next page's `after_id`."""
        query = events_of(customer_id).where(WebhookEvent.id > after_id)
        if endpoint_id is not None:
            query = query.where(WebhookEvent.endpoint_id == endpoint_id)
        if status is not None:
            query = query.where(WebhookEvent.status.in_(_WITH_STATUS[status]))
        if event is not None:
            query = query.where(WebhookEvent.event == event)
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(WebhookEvent.id).limit(limit))).all()

    async def get_event(self, customer_id: int, event_id: int) -> WebhookEvent:
        """One event. Raises NotFound."""
        async with self._work.read() as session:
            return await find_event(session, customer_id, event_id)

    async def replay_event(self, customer_id: int, event_id: int) -> WebhookEvent:
        """Delivers one event again, under the same id; it may have been delivered before.

        Raises NotFound, and Conflict while it is under way or its endpoint is disabled.
        """
        now = to_milliseconds(self._work.clock.now())
        async with self._work.begin() as unit:
            row = await find_event(unit.session, customer_id, event_id, lock=True)
            if row.status in OPEN:
                raise Conflict(f"webhook event {row.id} is still under way; wait for its end")
            require_enabled(await find_endpoint(unit.session, customer_id, row.endpoint_id))
            await deliver_again(unit, [row.id], (Status(row.status),), now)
            await unit.session.refresh(row)
            return row

    async def replay_events(
        self, customer_id: int, endpoint_id: int, wanted: ReplayIn | Mapping[str, Any]
    ) -> EventsReplayed:
        """Delivers an endpoint's ended events of a time range again, at most 1,000 a call, the oldest first.

        Raises NotFound, InvalidInput, and Conflict when the endpoint is disabled.
        """
        chosen = parse(ReplayIn, wanted)
        now = to_milliseconds(self._work.clock.now())
        ended = (Status.FAILED,) if chosen.only_failed else (Status.FAILED, Status.SENT)
        async with self._work.begin() as unit:
            require_enabled(await find_endpoint(unit.session, customer_id, endpoint_id))
            found = ended_events(endpoint_id, ended, chosen.since, chosen.until or now).limit(MOST_REPLAYED + 1)
            rows = (await unit.session.execute(found)).all()
            replayed = await deliver_again(unit, [row.id for row in rows[:MOST_REPLAYED]], ended, now)
            further = rows[MOST_REPLAYED].created_at if len(rows) > MOST_REPLAYED else None
            return EventsReplayed(events=replayed, next_since=further)
