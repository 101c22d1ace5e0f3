"""Where a campaign stands, and when it opens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.messages.gate.quiet_hours import zones_of
from tidings.messages.statuses import OPEN, Status

EASTERNMOST = timedelta(hours=14)
"""The largest offset from UTC: there a wall-clock time comes first."""

NOT_ENDED = (Status.WAITING, *OPEN)


class CampaignStatus(StrEnum):
    """Drafts may be edited; scheduled ones wait for their moment; cancelled and finished ones are history."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


def opens_at(send_at: datetime, timezone: str, *, local_time: bool) -> datetime:
    """When the first recipient may be due (UTC). `timezone` is the shop's, whose wall clock `send_at` shows."""
    if not local_time:
        return send_at
    wall = send_at.astimezone(ZoneInfo(timezone)).replace(tzinfo=UTC)
    return wall - EASTERNMOST


def due_at(
    send_at: datetime, timezone: str, *, local_time: bool, phone: str | None, recipients_timezone: str | None
) -> datetime:
    """When one recipient is due (UTC).

    With `local_time` it is the wall-clock time of `send_at` in the recipient's own timezone, and where that is not
    known, the moment from which on it is that time in every timezone that the number may be in.
    """
    if not local_time:
        return send_at
    wall = send_at.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    zones = zones_of(phone, recipients_timezone, timezone)
    return max(wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for zone in zones)


async def find_campaign(session: AsyncSession, shop_id: int, key: str, *, lock: bool = False) -> ShopCampaign:
    """A shop's campaign; with `lock` nobody else changes it until the unit of work ends. Raises NotFound."""
    query = select(ShopCampaign).where(ShopCampaign.shop_id == shop_id, ShopCampaign.key == key)
    found = await session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound("campaign", key)
    return found
