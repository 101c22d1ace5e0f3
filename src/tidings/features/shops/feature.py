"""The shops as the application sees them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tidings.engine.jobs import Schedule
from tidings.feature import Feature, Parts
from tidings.features.shops.accounts.mitto import MittoAccess
from tidings.features.shops.campaigns.jobs import SCHEDULES
from tidings.features.shops.campaigns.release import Releases
from tidings.features.shops.housekeeping import Housekeeping, kept_events
from tidings.features.shops.jobs import CATCH_UP, DELIVERY, CatchUpData
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.rules.money import shop_templates
from tidings.features.shops.service import Shops
from tidings.features.shops.settings import ShopSettings
from tidings.features.shops.sign_ups.enrolment import enrol
from tidings.features.shops.sign_ups.keywords import CONFIRMED_WITHIN, SignUps
from tidings.features.shops.sign_ups.models import ShopSignUp
from tidings.features.shops.worker import ShopsWorker
from tidings.messages.retention import Keeping
from tidings.messages.tenants import SHOP
from tidings.providers.mitto import MittoSettings
from tidings.settings import secret

if TYPE_CHECKING:
    from fastapi import APIRouter

EVERY_HALF_MINUTE = Schedule("shop-events-catch-up", CATCH_UP, CatchUpData(), seconds=30.0)
"""Finds stored events whose job was lost."""


def build(parts: Parts) -> Feature:
    """Puts the feature together."""
    settings, work, templates = parts.settings_of(ShopSettings), parts.work, shop_templates()
    key = secret(parts.settings_of(MittoSettings).mitto_api_key)
    mitto = MittoAccess(parts.vault, key, parts.settings.public_url)
    parts.accounts[SHOP] = mitto.through
    parts.enrol[SHOP] = enrol
    parts.keywords[SHOP] = SignUps(mitto, parts.enrol).hear
    worker = ShopsWorker(
        work,
        parts.pipeline(ShopMessages(work.clock, mitto, templates)),
        Releases(work, parts.rules, pace=settings.campaign_pace),
        Housekeeping(work, parts.policies[DELIVERY.name], timedelta(days=settings.retention_days)),
    )
    shops = Shops(
        work, vault=parts.vault, templates=templates, rules=parts.rules, public_url=parts.settings.public_url
    )
    return Feature(
        name="shops",
        service=shops,
        handlers=worker.handlers(),
        schedules=(EVERY_HALF_MINUTE, *SCHEDULES),
        keeps=(kept_events(settings), Keeping(ShopSignUp, ShopSignUp.asked_at, CONFIRMED_WITHIN)),
        router=_router,
        holder_of_key=shops.accounts.holder_of_key,
        tenant_of_callback=shops.accounts.tenant_of_callback,
    )


def _router() -> APIRouter:
    from tidings.features.shops.routes import router  # here, because workers do without

    return router
