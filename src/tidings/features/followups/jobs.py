"""The queue of the follow-ups and the job in it."""

from __future__ import annotations

from tidings.engine.jobs import JobType
from tidings.engine.policy import QueuePolicy, RateLimit
from tidings.features.followups.schemas import SendFollowUp

CONTRACTOR_FOLLOWUPS = QueuePolicy(
    "contractor-followups", concurrency=5, rate_limit=RateLimit(10, 60.0), attempts=3, backoff=5.0
)

SEND_FOLLOW_UP = JobType(CONTRACTOR_FOLLOWUPS, "send-follow-up", SendFollowUp, lambda data: f"follow-up-{data.id}")
