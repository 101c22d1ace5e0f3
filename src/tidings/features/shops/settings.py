"""Settings of this feature."""

from __future__ import annotations

from pydantic import Field

from tidings.settings import Days, SettingsGroup


class ShopSettings(SettingsGroup):
    """How long shops' texts and webhooks are kept, and how fast campaigns go."""

    retention_days: int = Field(
        90,
        ge=1,
        description="Days for which a shop's texts and webhook payloads are kept; figures stay.",
    )
    keep_shop_events_days: Days = Field(
        400,
        description="Days for which it is kept what a shop told, once it was worked on; 0: for ever.",
    )
    campaign_pace: float = Field(
        100.0,
        gt=0,
        description="Recipients a second that all campaigns together may have; the rest is for everybody else.",
    )
