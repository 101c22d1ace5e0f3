"""Where a campaign stands, when it opens, and how its recipients are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.features.shops.models import WAITING, ShopCampaign, ShopMessage
from tidings.messages.gate.quiet_hours import zones_of
from tidings.messages.statuses import OPEN, Status

EASTERNMOST = timedelta(hours=14)
"""The largest offset from UTC: there a wall-clock time comes first."""

NOT_ENDED = (WAITING, *OPEN)


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


@dataclass(frozen=True, slots=True)
class Recipients:
    """How many recipients stand where: `sent + skipped + failed + waiting = audience`.

    `waiting` are all that have no end yet, those in the queue and on their way included. `skipped` includes those
    whose campaign was cancelled; `reasons` says why, in the words of `Reason`.
    """

    audience: int
    waiting: int
    sent: int
    skipped: int
    failed: int
    reasons: dict[str, int]

    @property
    def imbalance(self) -> int:
        """How far the sum is from the audience; anything but 0 is a mistake in here."""
        return self.audience - self.sent - self.skipped - self.failed - self.waiting


async def count_recipients(session: AsyncSession, campaign_id: int) -> Recipients:
    """The count of one moment: one statement, so that a batch or an ending in between cannot unbalance it."""
    rows = await session.execute(
        select(ShopCampaign.audience, ShopMessage.status, ShopMessage.status_reason, func.count(ShopMessage.id))
        .outerjoin(ShopMessage, ShopMessage.campaign_id == ShopCampaign.id)
        .where(ShopCampaign.id == campaign_id)
        .group_by(ShopCampaign.audience, ShopMessage.status, ShopMessage.status_reason)
    )
    total = 0
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for audience, status, reason, number in rows:
        total = audience
        if status in NOT_ENDED:
            counts["waiting"] += number
        elif status in (Status.SKIPPED, Status.CANCELLED):
            counts["skipped"] += number
            reasons[reason or status] += number
        elif status is not None:
            counts[status] += number
    return Recipients(
        total, counts["waiting"], counts[Status.SENT], counts["skipped"], counts[Status.FAILED], dict(reasons)
    )
