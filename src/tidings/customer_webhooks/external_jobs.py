"""Events that other programs add to the queue in full: stored first, then delivered like every other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.customer_webhooks.events import record_for
from tidings.customer_webhooks.jobs import DELIVER_WEBHOOK, WebhookJob
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.customer_webhooks.schemas import WebhookDeliveryIn
from tidings.engine.jobs import BatchHandler, HeldJob
from tidings.errors import InvalidInput, NotFound
from tidings.feature import parse
from tidings.messages.delivery import told
from tidings.messages.delivery.pipeline import DeliveryPipeline
from tidings.work import Work


def webhook_handler(work: Work, pipeline: DeliveryPipeline) -> BatchHandler[WebhookJob]:
    """What a worker of the queue does: delivers events through `pipeline`, those that a job only tells of, too."""

    async def handle(jobs: Sequence[HeldJob[WebhookJob]]) -> None:
        await told.deliver(pipeline, jobs, lambda data, request: store_told(work, data, request))

    return BatchHandler(DELIVER_WEBHOOK, handle)


async def store_told(work: Work, data: WebhookJob, request_id: str) -> int:
    """The row of an event that another program told in full; the same content of the same request is the same event.

    Raises NotFound for an endpoint that there is not, and InvalidInput for an event's name that cannot be one, or
    when several customers have the address.
    """
    wanted = parse(WebhookDeliveryIn, {"event": data.event, "payload": data.payload})
    digest = hashlib.sha256(data.model_dump_json(exclude_none=True).encode() + request_id.encode()).hexdigest()
    webhook_id = f"evt_{digest[:32]}"
    known = select(WebhookEvent.id).where(WebhookEvent.webhook_id == webhook_id)
    try:
        async with work.begin() as unit:
            found = await unit.session.scalar(known)
            if found is not None:
                return int(found)
            endpoint = await _find_endpoint(unit.session, data)
            connection = await unit.session.connection()
            now = work.clock.now()
            # Its job is the one that told of it.
            _, ids = await record_for(
                connection, [endpoint], wanted.event, wanted.payload, now, webhook_id=webhook_id
            )
            return ids[0]
    except IntegrityError:  # told twice at the same moment
        async with work.read() as session:
            return int((await session.scalars(known)).one())


async def _find_endpoint(session: AsyncSession, data: WebhookJob) -> WebhookEndpoint:
    query = select(WebhookEndpoint).order_by(WebhookEndpoint.id).limit(2)
    if data.endpoint_id is not None:
        query = query.where(WebhookEndpoint.id == data.endpoint_id)
    else:
        query = query.where(WebhookEndpoint.url == data.url)
    if data.customer_id is not None:
        query = query.where(WebhookEndpoint.customer_id == data.customer_id)
    found = (await session.scalars(query)).all()
    if not found:
        raise NotFound("webhook endpoint", data.endpoint_id or data.url)
    if len(found) > 1:
        raise InvalidInput("url", "several customers have this address; name webhookId or customerId as well")
    return found[0]
