"""The shops as the application sees them."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter

from tidings.engine.jobs import Schedule
from tidings.feature import Feature
from tidings.features.shops.campaigns.jobs import SCHEDULES
from tidings.features.shops.campaigns.release import PACE, Lanes
from tidings.features.shops.campaigns.routes import campaign_router
from tidings.features.shops.campaigns.worker import campaign_handlers
from tidings.features.shops.housekeeping import Housekeeping
from tidings.features.shops.jobs import CATCH_UP, QUEUES, CatchUpData
from tidings.features.shops.routes import shops_router
from tidings.features.shops.service import Shops
from tidings.features.shops.webhooks.routes import shopify_router
from tidings.features.shops.worker import shop_handlers
from tidings.messages.delivery.pipeline import Road
from tidings.messages.gate.policy import Rules
from tidings.work import Work

__all__ = ["QUEUES", "shops_feature"]

EVERY_HALF_MINUTE = Schedule("shop-events-catch-up", CATCH_UP, CatchUpData(), seconds=30.0)
"""Finds stored events whose job was lost."""


def shops_feature(
    shops: Shops, work: Work, road: Road, rules: Rules, *, retention: timedelta, pace: float = PACE
) -> Feature:
    """Puts the feature's parts together.

    Texts and payloads are kept for `retention`, figures for ever. `pace` is how many recipients a second all
    campaigns together may have.
    """
    lanes = Lanes(work, rules, road.outbox.alarm, pace=pace)
    housekeeping = Housekeeping(work, road.outbox.queue, retention)

    def router() -> APIRouter:
        parts = (shops_router(shops), campaign_router(shops, shops), shopify_router(shops))
        return APIRouter(routes=[route for part in parts for route in part.routes])

    return Feature(
        name="shops",
        queues=QUEUES,
        handlers=(*shop_handlers(shops, road), *campaign_handlers(work, lanes, housekeeping)),
        outboxes=(road.outbox,),
        schedules=(EVERY_HALF_MINUTE, *SCHEDULES),
        router=router,
    )
