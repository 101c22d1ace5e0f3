"""The pings as the application sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.features.pings.kind import Pings
from tidings.features.pings.service import PingService
from tidings.features.pings.settings import PingSettings

from tidings.feature import Feature, Parts

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(parts: Parts) -> Feature:
    """Puts the feature together."""
    kind = Pings(parts.settings_of(PingSettings).ping_text)
    return Feature("pings", PingService(parts.work), parts.pipeline(kind).handlers(), _router)


def _router() -> APIRouter:
    from tidings.features.pings.routes import router

    return router
