"""The follow-ups as the application sees them."""

from __future__ import annotations

from functools import partial

from tidings.engine.jobs import Handler
from tidings.engine.policy import QueuePolicy
from tidings.feature import Feature
from tidings.features.followups.jobs import CONTRACTOR_FOLLOWUPS, SEND_FOLLOW_UP
from tidings.features.followups.routes import followups_router
from tidings.features.followups.service import FollowUps
from tidings.features.followups.worker import FollowUpsWorker
from tidings.messages.delivery.pipeline import Road

QUEUES: tuple[QueuePolicy, ...] = (CONTRACTOR_FOLLOWUPS,)


def followups_feature(followups: FollowUps, road: Road) -> Feature:
    """Puts the feature's parts together. Nothing comes round by itself: every follow-up has its own job."""
    return Feature(
        name="followups",
        queues=QUEUES,
        handlers=(Handler(SEND_FOLLOW_UP, FollowUpsWorker(road).send),),
        outboxes=(road.outbox,),
        schedules=(),
        router=partial(followups_router, followups),
    )
