"""HTTP endpoints of customers' webhooks. Every one is a verb of the service; times in answers are UTC."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from tidings.customer_webhooks.schemas import (
    EventsRecorded,
    EventsReplayed,
    EventStatus,
    ReplayIn,
    RotationIn,
    WebhookDeliveryIn,
    WebhookEndpointChange,
    WebhookEndpointIn,
    WebhookEndpointOut,
    WebhookEventOut,
    WebhookSecretOut,
)
from tidings.customer_webhooks.service import CustomerWebhooks
from tidings.fields import After, Id, Limit

EventFilter = Annotated[str | None, Query(max_length=64)]


def customer_webhooks_router(webhooks: CustomerWebhooks) -> APIRouter:
    """The router over one service."""
    router = APIRouter(prefix="/customers/{customer_id}")
    _endpoint_routes(router, webhooks)
    _state_routes(router, webhooks)
    _event_routes(router, webhooks)
    return router


def _endpoint_routes(router: APIRouter, webhooks: CustomerWebhooks) -> None:
    tags: list[Any] = ["webhook endpoints"]

    @router.post("/webhook-endpoints", status_code=201, tags=tags)
    async def create_webhook_endpoint(customer_id: Id, endpoint: WebhookEndpointIn) -> WebhookSecretOut:
        """Stores an endpoint; the answer shows its signing secret, this once."""
        row, secret = await webhooks.create_webhook_endpoint(customer_id, endpoint)
        return WebhookSecretOut(endpoint=WebhookEndpointOut.model_validate(row), secret=secret)

    @router.get("/webhook-endpoints", tags=tags)
    async def list_webhook_endpoints(customer_id: Id) -> list[WebhookEndpointOut]:
        """A customer's endpoints and how they fare."""
        return [WebhookEndpointOut.model_validate(row) for row in await webhooks.list_webhook_endpoints(customer_id)]

    @router.get("/webhook-endpoints/{endpoint_id}", tags=tags)
    async def get_webhook_endpoint(customer_id: Id, endpoint_id: Id) -> WebhookEndpointOut:
        """One endpoint."""
        return WebhookEndpointOut.model_validate(await webhooks.get_webhook_endpoint(customer_id, endpoint_id))

    @router.patch("/webhook-endpoints/{endpoint_id}", tags=tags)
    async def change_webhook_endpoint(
        customer_id: Id, endpoint_id: Id, change: WebhookEndpointChange
    ) -> WebhookEndpointOut:
        """Changes an endpoint's URL, description or filters."""
        row = await webhooks.change_webhook_endpoint(customer_id, endpoint_id, change)
        return WebhookEndpointOut.model_validate(row)

    @router.delete("/webhook-endpoints/{endpoint_id}", status_code=204, tags=tags)
    async def delete_webhook_endpoint(customer_id: Id, endpoint_id: Id) -> None:
        """Deletes an endpoint and its events."""
        await webhooks.delete_webhook_endpoint(customer_id, endpoint_id)


def _state_routes(router: APIRouter, webhooks: CustomerWebhooks) -> None:
    tags: list[Any] = ["webhook endpoints"]

    @router.post("/webhook-endpoints/{endpoint_id}/secret", tags=tags)
    async def rotate_webhook_endpoint_secret(
        customer_id: Id, endpoint_id: Id, rotation: RotationIn
    ) -> WebhookSecretOut:
        """Makes a new signing secret; the old one signs beside it for the overlap."""
        row, secret = await webhooks.rotate_webhook_secret(customer_id, endpoint_id, rotation)
        return WebhookSecretOut(endpoint=WebhookEndpointOut.model_validate(row), secret=secret)

    @router.post("/webhook-endpoints/{endpoint_id}/enable", tags=tags)
    async def enable_webhook_endpoint(customer_id: Id, endpoint_id: Id) -> WebhookEndpointOut:
        """Sends events to a disabled or warned endpoint again."""
        return WebhookEndpointOut.model_validate(await webhooks.enable_webhook_endpoint(customer_id, endpoint_id))

    @router.post("/webhook-endpoints/{endpoint_id}/disable", tags=tags)
    async def disable_webhook_endpoint(customer_id: Id, endpoint_id: Id) -> WebhookEndpointOut:
        """Sends no more events to an endpoint."""
        return WebhookEndpointOut.model_validate(await webhooks.disable_webhook_endpoint(customer_id, endpoint_id))

    @router.post("/webhook-endpoints/{endpoint_id}/test", status_code=202, tags=tags)
    async def send_test_webhook(customer_id: Id, endpoint_id: Id) -> WebhookEventOut:
        """Sends a test event to one endpoint."""
        return WebhookEventOut.of(await webhooks.send_test_webhook(customer_id, endpoint_id))

    @router.post("/webhook-endpoints/{endpoint_id}/replay", status_code=202, tags=tags)
    async def replay_webhook_events(customer_id: Id, endpoint_id: Id, wanted: ReplayIn) -> EventsReplayed:
        """Delivers the events of a time range again, by default the failed ones."""
        return await webhooks.replay_webhook_events(customer_id, endpoint_id, wanted)


def _event_routes(router: APIRouter, webhooks: CustomerWebhooks) -> None:
    tags: list[Any] = ["webhook events"]

    @router.post("/webhook-events", status_code=202, tags=tags)
    async def enqueue_webhook_delivery(customer_id: Id, delivery: WebhookDeliveryIn) -> EventsRecorded:
        """Tells the customer's endpoints of an event of another program's."""
        ids = await webhooks.enqueue_webhook_delivery(customer_id, delivery.event, delivery.payload)
        return EventsRecorded(event_ids=ids)

    @router.get("/webhook-events", tags=tags)
    async def list_webhook_events(
        customer_id: Id,
        endpoint_id: Id | None = None,
        status: EventStatus | None = None,
        event: EventFilter = None,
        after_id: After = 0,
        limit: Limit = 100,
    ) -> list[WebhookEventOut]:
        """A customer's events in order of id; the last id is the next page's `after_id`."""
        rows = await webhooks.list_webhook_events(
            customer_id, endpoint_id=endpoint_id, status=status, event=event, after_id=after_id, limit=limit
        )
        return [WebhookEventOut.of(row) for row in rows]

    @router.get("/webhook-events/{event_id}", tags=tags)
    async def get_webhook_event(customer_id: Id, event_id: Id) -> WebhookEventOut:
        """One event."""
        return WebhookEventOut.of(await webhooks.get_webhook_event(customer_id, event_id))

    @router.post("/webhook-events/{event_id}/replay", status_code=202, tags=tags)
    async def replay_webhook_event(customer_id: Id, event_id: Id) -> WebhookEventOut:
        """Delivers one event again, under the same id."""
        return WebhookEventOut.of(await webhooks.replay_webhook_event(customer_id, event_id))
