"""The queue of customers' webhooks and the job in it, under the specification's names."""

from __future__ import annotations

from pydantic import BaseModel

from tidings.engine.jobs import JobType
from tidings.engine.policy import QueuePolicy

WEBHOOK_DELIVERY = QueuePolicy(
    "webhook-delivery",
    concurrency=20,
    attempts=3,
    backoff=1.0,
    keep_completed_seconds=3600,
    keep_failed_seconds=24 * 3600,
)

QUEUES = (WEBHOOK_DELIVERY,)

WEBHOOK_KIND = "webhook-event"


class WebhookDeliveryJob(BaseModel):
    """An event to deliver: a row of `webhook_events`."""

    id: int


DELIVER_WEBHOOK = JobType(
    WEBHOOK_DELIVERY, "webhook-delivery", WebhookDeliveryJob, lambda data: f"{WEBHOOK_KIND}-{data.id}"
)
