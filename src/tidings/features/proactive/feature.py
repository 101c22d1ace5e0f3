"""The proactive messages as the application sees them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tidings.engine.jobs import Handler
from tidings.feature import Feature, Parts
from tidings.features.proactive.creation import MessageCreator
from tidings.features.proactive.discovery import find_triggers
from tidings.features.proactive.evaluation import Evaluation
from tidings.features.proactive.jobs import (
    DELIVER_WAITING,
    EVALUATE_TRIGGERS,
    EVERY_FIVE_MINUTES,
    EVERY_HOUR,
)
from tidings.features.proactive.kind import ProactiveMessages
from tidings.features.proactive.safeguards import Safeguards
from tidings.features.proactive.service import Proactive
from tidings.features.proactive.settings import ProactiveSettings
from tidings.features.proactive.worker import ProactiveWorker

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(parts: Parts) -> Feature:
    """Puts the feature together."""
    settings = parts.settings_of(ProactiveSettings)
    safeguards = Safeguards(approval_timeout=timedelta(hours=settings.proactive_approval_hours))
    deliver_now = settings.proactive_deliver_now
    evaluation = Evaluation(
        parts.work,
        MessageCreator(parts.work, parts.writer, safeguards, deliver_now, parts.settings.sms_max_segments),
        find_triggers(),
        parts.activities,
        parts.settings.default_timezone,
    )
    proactive = Proactive(parts.work, evaluation, deliver_now=deliver_now)
    worker = ProactiveWorker(proactive)
    return Feature(
        name="proactive",
        service=proactive,
        handlers=(
            *parts.pipeline(ProactiveMessages(safeguards)).handlers(),
            Handler(EVALUATE_TRIGGERS, worker.evaluate),
            Handler(DELIVER_WAITING, worker.deliver_waiting),
        ),
        schedules=(EVERY_HOUR, EVERY_FIVE_MINUTES),
        router=_router,
    )


def _router() -> APIRouter:
    from tidings.features.proactive.routes import router  # here, because workers do without

    return router
