"""Queues of the proactive messages and the jobs in them."""

from __future__ import annotations

from tidings.engine.jobs import JobType, Schedule
from tidings.engine.policy import QueuePolicy, RateLimit
from tidings.features.proactive.schemas import DeliverWaiting, EvaluateTriggers
from tidings.messages.kind import adopt_message, message_job

PROACTIVE_MESSAGE = "proactive-message"

IGE_AUTOMATION = QueuePolicy("ige-automation", concurrency=1, attempts=3, backoff=5.0)
PROACTIVE_MESSAGES = QueuePolicy(
    "proactive-messages", concurrency=1, rate_limit=RateLimit(1, 2.0), attempts=3, backoff=5.0
)
QUEUES = (IGE_AUTOMATION, PROACTIVE_MESSAGES)

EVALUATE_TRIGGERS = JobType(
    IGE_AUTOMATION, "evaluate-proactive-triggers", EvaluateTriggers, adopt=lambda name, data: data
)
DELIVER_WAITING = JobType(
    PROACTIVE_MESSAGES,
    "deliver-waiting",
    DeliverWaiting,
    adopt=lambda name, data: None if adopt_message(name, data) else data,
)
SEND_PROACTIVE_MESSAGE = message_job(PROACTIVE_MESSAGES, "send-proactive-message", PROACTIVE_MESSAGE)

EVERY_HOUR = Schedule(
    "ige-automation-hourly", EVALUATE_TRIGGERS, EvaluateTriggers(), seconds=3600.0, cron="0 * * * *"
)
EVERY_FIVE_MINUTES = Schedule(
    "proactive-messages-every-5-minutes", DELIVER_WAITING, DeliverWaiting(), seconds=300.0, cron="*/5 * * * *"
)
