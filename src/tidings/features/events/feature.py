"""The event messages as the application sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.engine.jobs import Handler, Schedule
from tidings.feature import Feature, Parts
from tidings.features.events.activities import event_activities
from tidings.features.events.jobs import ORCHESTRATE, Orchestrate
from tidings.features.events.kind import EventMessages
from tidings.features.events.orchestration import Orchestration
from tidings.features.events.service import Events

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(parts: Parts) -> Feature:
    """Puts the feature together."""
    settings = parts.settings
    events = Events(parts.work, region=settings.default_region, timezone=settings.default_timezone)
    parts.activities.append(event_activities)
    return Feature(
        name="events",
        service=events,
        handlers=(
            *parts.pipeline(EventMessages(hour_cycle=int(settings.hour_cycle))).handlers(),
            Handler(ORCHESTRATE, Orchestration(parts.work).orchestrate),
        ),
        schedules=(Schedule("event-orchestration-every-minute", ORCHESTRATE, Orchestrate(), seconds=60.0),),
        router=_router,
    )


def _router() -> APIRouter:
    from tidings.features.events.routes import router  # here, because workers do without

    return router
