"""Queues of the event messages and the jobs in them."""

from __future__ import annotations

from pydantic import BaseModel

from tidings.engine.jobs import JobType
from tidings.engine.policy import QueuePolicy, RateLimit
from tidings.messages.kind import message_job

EVENT_MESSAGE = "event-message"

EVENT_MESSAGES = QueuePolicy(
    "event-messages", concurrency=10, rate_limit=RateLimit(20, 60.0), attempts=3, backoff=5.0
)
EVENT_ORCHESTRATION = QueuePolicy("event-orchestration", concurrency=1, attempts=3, backoff=1.0)
QUEUES = (EVENT_MESSAGES, EVENT_ORCHESTRATION)


class Orchestrate(BaseModel):
    """Data of the job that comes round every minute: nothing."""


SEND_EVENT_MESSAGE = message_job(EVENT_MESSAGES, "send-event-message", EVENT_MESSAGE)
ORCHESTRATE = JobType(EVENT_ORCHESTRATION, "orchestrate", Orchestrate, adopt=lambda name, data: {})
