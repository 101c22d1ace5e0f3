"""The queue of customers' webhooks and the job in it, under the specification's names."""

from __future__ import annotations

from tidings.engine.policy import QueuePolicy
from tidings.messages.kind import message_job

WEBHOOK_DELIVERY = QueuePolicy(
    "webhook-delivery",
    concurrency=20,
    attempts=3,
    backoff=1.0,
    keep_completed_seconds=3600,
    keep_failed_seconds=24 * 3600,
)

WEBHOOK_EVENT = "webhook-event"
DELIVER_WEBHOOK = message_job(WEBHOOK_DELIVERY, "webhook-delivery", WEBHOOK_EVENT)
