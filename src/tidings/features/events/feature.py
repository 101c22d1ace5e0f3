"""The event messages as the application sees them."""

from __future__ import annotations

from functools import partial

from tidings.engine.jobs import Handler, Schedule
from tidings.engine.policy import QueuePolicy
from tidings.feature import Feature
from tidings.features.events.jobs import (
    EVENT_MESSAGES,
    EVENT_ORCHESTRATION,
    ORCHESTRATE,
    SEND_EVENT_MESSAGE,
    Orchestrate,
)
from tidings.features.events.routes import events_router
from tidings.features.events.service import Events
from tidings.features.events.worker import EventsWorker
from tidings.messages.delivery.pipeline import Road
from tidings.work import Work

QUEUES: tuple[QueuePolicy, ...] = (EVENT_MESSAGES, EVENT_ORCHESTRATION)


def events_feature(events: Events, work: Work, road: Road) -> Feature:
    """Puts the feature's parts together."""
    worker = EventsWorker(work, road)
    return Feature(
        name="events",
        queues=QUEUES,
        handlers=(Handler(SEND_EVENT_MESSAGE, worker.send), Handler(ORCHESTRATE, worker.orchestrate)),
        outboxes=(road.outbox,),
        schedules=(Schedule("event-orchestration-every-minute", ORCHESTRATE, Orchestrate(), seconds=60.0),),
        router=partial(events_router, events),
    )
