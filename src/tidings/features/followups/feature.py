"""The follow-ups as the application sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.feature import Feature, Parts
from tidings.features.followups.drafts import DraftWriter
from tidings.features.followups.kind import FollowUpMessages
from tidings.features.followups.service import FollowUps

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(parts: Parts) -> Feature:
    """Puts the feature together. Nothing comes round by itself: every follow-up has its own job."""
    settings, zone = parts.settings, parts.settings.default_timezone
    drafts = DraftWriter(parts.writer, timezone=zone, max_segments=settings.sms_max_segments)
    kind = FollowUpMessages(drafts, parts.work.clock, timezone=zone, compose_seconds=settings.ai_timeout)
    followups = FollowUps(parts.work, drafts, parts.reach, timezone=zone)
    return Feature(
        name="followups",
        service=followups,
        handlers=parts.pipeline(kind).handlers(),
        router=_router,
    )


def _router() -> APIRouter:
    from tidings.features.followups.routes import router  # here, because workers do without

    return router
