"""The proactive messages as the application sees them."""

from __future__ import annotations

from functools import partial

from tidings.engine.jobs import Handler
from tidings.engine.policy import QueuePolicy
from tidings.feature import Feature
from tidings.features.proactive.jobs import (
    DELIVER_WAITING,
    EVALUATE_TRIGGERS,
    EVERY_FIVE_MINUTES,
    EVERY_HOUR,
    IGE_AUTOMATION,
    PROACTIVE_MESSAGES,
    SEND_PROACTIVE_MESSAGE,
)
from tidings.features.proactive.routes import proactive_router
from tidings.features.proactive.service import Proactive
from tidings.features.proactive.worker import ProactiveWorker
from tidings.messages.delivery.pipeline import Road

QUEUES: tuple[QueuePolicy, ...] = (IGE_AUTOMATION, PROACTIVE_MESSAGES)


def proactive_feature(proactive: Proactive, road: Road) -> Feature:
    """Puts the feature's parts together."""
    worker = ProactiveWorker(proactive, road)
    return Feature(
        name="proactive",
        queues=QUEUES,
        handlers=(
            Handler(EVALUATE_TRIGGERS, worker.evaluate),
            Handler(DELIVER_WAITING, worker.deliver_waiting),
            Handler(SEND_PROACTIVE_MESSAGE, worker.send),
        ),
        outboxes=(road.outbox,),
        schedules=(EVERY_HOUR, EVERY_FIVE_MINUTES),
        router=partial(proactive_router, proactive),
    )
