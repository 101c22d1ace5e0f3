"""HTTP endpoints of customers' webhooks. Every one is a verb of the service; times in answers are UTC."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from tidings.customer_webhooks.schemas import (
    EventsRecorded,
    EventsReplayed,
    ReplayIn,
    RotationIn,
    WebhookDeliveryIn,
    WebhookEndpointChange,
    WebhookEndpointIn,
    WebhookEndpointOut,
    WebhookEventOut,
    WebhookEventStatus,
    WebhookSecretOut,
)
from tidings.customer_webhooks.service import CustomerWebhooks
from tidings.fields import After, Id, Limit
from tidings.web.routing import new_router, provided

Webhooks = Annotated[CustomerWebhooks, provided(CustomerWebhooks)]
EventFilter = Annotated[str | None, Query(max_length=64)]

PREFIX = "/customers/{customer_id}"
endpoints = new_router(prefix=f"{PREFIX}/webhook-endpoints", tags=["webhook endpoints"])
events = new_router(prefix=f"{PREFIX}/webhook-events", tags=["webhook events"])


@endpoints.post("", status_code=201)
async def create_webhook_endpoint(
    webhooks: Webhooks, customer_id: Id, endpoint: WebhookEndpointIn
) -> WebhookSecretOut:
    """Stores an endpoint; the answer shows its signing secret, this once."""
    row, secret = await webhooks.create_endpoint(customer_id, endpoint)
    return WebhookSecretOut(endpoint=WebhookEndpointOut.model_validate(row), secret=secret)


@endpoints.get("")
async def list_webhook_endpoints(webhooks: Webhooks, customer_id: Id) -> list[WebhookEndpointOut]:
    """A customer's endpoints and how they fare."""
    return [WebhookEndpointOut.model_validate(row) for row in await webhooks.list_endpoints(customer_id)]


@endpoints.get("/{endpoint_id}")
async def get_webhook_endpoint(webhooks: Webhooks, customer_id: Id, endpoint_id: Id) -> WebhookEndpointOut:
    """One endpoint."""
    return WebhookEndpointOut.model_validate(await webhooks.get_endpoint(customer_id, endpoint_id))


@endpoints.patch("/{endpoint_id}")
async def change_webhook_endpoint(
    webhooks: Webhooks, customer_id: Id, endpoint_id: Id, change: WebhookEndpointChange
) -> WebhookEndpointOut:
    """Changes an endpoint's URL, description or filters."""
    return WebhookEndpointOut.model_validate(await webhooks.change_endpoint(customer_id, endpoint_id, change))


@endpoints.delete("/{endpoint_id}", status_code=204)
async def delete_webhook_endpoint(webhooks: Webhooks, customer_id: Id, endpoint_id: Id) -> None:
    """Deletes an endpoint and its events."""
    await webhooks.delete_endpoint(customer_id, endpoint_id)


@endpoints.post("/{endpoint_id}/secret")
async def rotate_webhook_endpoint_secret(
    webhooks: Webhooks, customer_id: Id, endpoint_id: Id, rotation: RotationIn
) -> WebhookSecretOut:
    """Makes a new signing secret; the old one signs beside it for the overlap."""
    row, secret = await webhooks.rotate_secret(customer_id, endpoint_id, rotation)
    return WebhookSecretOut(endpoint=WebhookEndpointOut.model_validate(row), secret=secret)


@endpoints.post("/{endpoint_id}/enable")
async def enable_webhook_endpoint(webhooks: Webhooks, customer_id: Id, endpoint_id: Id) -> WebhookEndpointOut:
    """Sends events to a disabled or warned endpoint again."""
    return WebhookEndpointOut.model_validate(await webhooks.enable_endpoint(customer_id, endpoint_id))


@endpoints.post("/{endpoint_id}/disable")
async def disable_webhook_endpoint(webhooks: Webhooks, customer_id: Id, endpoint_id: Id) -> WebhookEndpointOut:
    """Sends no more events to an endpoint."""
    return WebhookEndpointOut.model_validate(await webhooks.disable_endpoint(customer_id, endpoint_id))


@endpoints.post("/{endpoint_id}/test", status_code=202)
async def send_test_webhook(webhooks: Webhooks, customer_id: Id, endpoint_id: Id) -> WebhookEventOut:
    """Sends a test event to one endpoint."""
    return WebhookEventOut.of(await webhooks.send_test(customer_id, endpoint_id))


@endpoints.post("/{endpoint_id}/replay", status_code=202)
async def replay_webhook_events(
    webhooks: Webhooks, customer_id: Id, endpoint_id: Id, wanted: ReplayIn
) -> EventsReplayed:
    """Delivers the events of a time range again, by default the failed ones."""
    return await webhooks.replay_events(customer_id, endpoint_id, wanted)


@events.post("", status_code=202)
async def enqueue_webhook_delivery(
    webhooks: Webhooks, customer_id: Id, delivery: WebhookDeliveryIn
) -> EventsRecorded:
    """Tells the customer's endpoints of an event of another program's."""
    return EventsRecorded(event_ids=await webhooks.enqueue(customer_id, delivery.event, delivery.payload))


@events.get("")
async def list_webhook_events(
    webhooks: Webhooks,
    customer_id: Id,
    endpoint_id: Id | None = None,
    status: WebhookEventStatus | None = None,
    event: EventFilter = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[WebhookEventOut]:
    """A customer's events in order of id; the last id is the next page's `after_id`."""
    rows = await webhooks.list_events(
        customer_id, endpoint_id=endpoint_id, status=status, event=event, after_id=after_id, limit=limit
    )
    return [WebhookEventOut.of(row) for row in rows]


@events.get("/{event_id}")
async def get_webhook_event(webhooks: Webhooks, customer_id: Id, event_id: Id) -> WebhookEventOut:
    """One event."""
    return WebhookEventOut.of(await webhooks.get_event(customer_id, event_id))


@events.post("/{event_id}/replay", status_code=202)
async def replay_webhook_event(webhooks: Webhooks, customer_id: Id, event_id: Id) -> WebhookEventOut:
    """Delivers one event again, under the same id."""
    return WebhookEventOut.of(await webhooks.replay_event(customer_id, event_id))


router = new_router()
for part in (endpoints, events):
    router.include_router(part)
