"""The queue of the pings and the job in it."""

from __future__ import annotations

from tidings.engine.policy import QueuePolicy
from tidings.messages.kind import message_job

PINGS = QueuePolicy("pings", concurrency=2)
QUEUES = (PINGS,)

SEND_PING = message_job(PINGS, "send-ping", "ping")
