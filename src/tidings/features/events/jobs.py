"""Queues of the event messages and the jobs in them."""

from __future__ import annotations

from pydantic import BaseModel

from tidings.engine.jobs import JobType
from tidings.engine.policy import QueuePolicy, RateLimit
from tidings.features.events.schemas import SendEventMessage

EVENT_MESSAGES = QueuePolicy(
    "event-messages", concurrency=10, rate_limit=RateLimit(20, 60.0), attempts=3, backoff=5.0
)
EVENT_ORCHESTRATION = QueuePolicy("event-orchestration", concurrency=1, attempts=3, backoff=1.0)


class Orchestrate(BaseModel):
    """Data of the job that comes round every minute: nothing."""


SEND_EVENT_MESSAGE = JobType(
    EVENT_MESSAGES, "send-event-message", SendEventMessage, lambda data: f"event-message-{data.id}"
)
ORCHESTRATE = JobType(EVENT_ORCHESTRATION, "orchestrate", Orchestrate)
