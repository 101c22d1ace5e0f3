"""The queue of the follow-ups and the job in it."""

from __future__ import annotations

from tidings.engine.policy import QueuePolicy, RateLimit
from tidings.messages.kind import message_job

FOLLOW_UP = "follow-up"

CONTRACTOR_FOLLOWUPS = QueuePolicy(
    "contractor-followups", concurrency=5, rate_limit=RateLimit(10, 60.0), attempts=3, backoff=5.0
)
QUEUES = (CONTRACTOR_FOLLOWUPS,)

SEND_FOLLOW_UP = message_job(CONTRACTOR_FOLLOWUPS, "send-follow-up", FOLLOW_UP)
