"""How far a campaign is, counted from its recipients' rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.previews import test_key
from tidings.features.shops.campaigns.schemas import CampaignProgress
from tidings.features.shops.campaigns.status import NOT_ENDED, CampaignStatus
from tidings.features.shops.models import Shop, ShopMessage
from tidings.log import get_logger
from tidings.messages.statuses import Status

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recipients:
    """How many recipients stand where: `sent + simulated + skipped + failed + unknown + waiting = audience`.

    `waiting` are all that have no end yet, those in the queue and on their way included. `skipped` includes those
    whose campaign was cancelled; `reasons` says why, in the words of `Reason`.
    """

    audience: int
    waiting: int
    sent: int
    simulated: int
    skipped: int
    failed: int
    unknown: int
    reasons: dict[str, int]

    @property
    def imbalance(self) -> int:
        """How far the sum is from the audience; anything but 0 is a mistake in here."""
        return self.audience - self.sent - self.simulated - self.skipped - self.failed - self.unknown - self.waiting


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
        total,
        counts["waiting"],
        counts[Status.SENT],
        counts[Status.SIMULATED],
        counts["skipped"],
        counts[Status.FAILED],
        counts[Status.UNKNOWN],
        dict(reasons),
    )


async def read_progress(session: AsyncSession, shop: Shop, campaign: ShopCampaign) -> CampaignProgress:
    """Where a campaign's recipients stand at this moment, and what it has cost so far."""
    counts = await count_recipients(session, campaign.id)
    if counts.imbalance:
        log.error("a campaign's recipients do not add up", campaign_id=campaign.id, missing=counts.imbalance)
    theirs = ShopMessage.campaign_id == campaign.id
    spent = await session.execute(
        select(ShopMessage.price, func.sum(ShopMessage.segments), func.count())
        .where(theirs, ShopMessage.price.is_not(None), ShopMessage.status != Status.SIMULATED)
        .group_by(ShopMessage.price)
    )
    prices = spent.all()
    next_due = await session.scalar(
        select(func.min(ShopMessage.scheduled_time)).where(theirs, ShopMessage.status.in_(NOT_ENDED))
    )
    tests = await session.scalar(
        select(func.count()).where(
            ShopMessage.shop_id == shop.id, ShopMessage.deduplication_key.startswith(test_key(campaign.id))
        )
    )
    return CampaignProgress(
        status=CampaignStatus(campaign.status),
        is_expanded=campaign.expanded_at is not None,
        **asdict(counts),
        segments=sum(segments or 0 for _, segments, _ in prices),
        cost=str(sum((Decimal(price or 0) * number for price, _, number in prices), Decimal())),
        currency=shop.currency,
        tests=tests or 0,
        next_due=next_due,
    )
