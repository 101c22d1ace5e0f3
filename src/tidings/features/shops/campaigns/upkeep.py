"""The look at every campaign, once a second: what is due starts, what a lost job left behind goes on.

Everything else happens without it as well, only later: a campaign's batches ask for each other, and endings
ask for the next recipients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, exists, or_, select

from tidings.features.shops.campaigns.jobs import batch_job
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.recipients import has_recipients, put_back
from tidings.features.shops.campaigns.release import Releases
from tidings.features.shops.campaigns.status import CampaignStatus, opens_at
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.models import Shop, ShopMessage
from tidings.messages.changes import end
from tidings.messages.statuses import Reason, Status
from tidings.work import Work

AT_ONCE = 1000
"""Recipients of a cancelled campaign that one transaction ends."""

_LIVE = or_(
    ShopCampaign.status.in_((CampaignStatus.SCHEDULED, CampaignStatus.RUNNING, CampaignStatus.PAUSED)),
    and_(ShopCampaign.status == CampaignStatus.CANCELLED, ShopCampaign.finished_at.is_(None)),
)


_ANY_LIVE = select(exists().where(_LIVE))
_LIVE_ONES = select(ShopCampaign, Shop).join(Shop, Shop.id == ShopCampaign.shop_id).where(_LIVE)


@dataclass(frozen=True, slots=True)
class UpkeepResult:
    """What one look at all campaigns came to."""

    released: int = 0
    batches: int = 0
    ended: int = 0


async def keep_up(work: Work, releases: Releases) -> UpkeepResult:
    """Looks at every campaign that is not history, and releases recipients of every shop that has a running one."""
    async with work.read() as session:
        if not await session.scalar(_ANY_LIVE):  # in most seconds of most installations
            return UpkeepResult()
        found = (await session.execute(_LIVE_ONES)).all()
        stuck = [
            campaign.id
            for campaign, _ in found
            if campaign.status == CampaignStatus.PAUSED
            and await has_recipients(session, campaign.id, (Status.SCHEDULED,))
        ]
    if stuck:
        async with work.begin() as unit:
            await put_back(unit, stuck)
    ended = 0
    for campaign, shop in found:
        if shop.uninstalled_at is not None or campaign.status == CampaignStatus.CANCELLED:
            ended += await end_recipients(work, campaign.id)
    batches = await _arm_batches(
        work, [(one, shop) for one, shop in found if _needs_batch(one, shop, work.clock.now())]
    )
    running = {campaign.shop_id: None for campaign, _ in found if campaign.status == CampaignStatus.RUNNING}
    released = 0
    for shop_id in running:
        released += (await releases.release(shop_id)).released
    return UpkeepResult(released, batches, ended)


async def end_recipients(work: Work, campaign_id: int) -> int:
    """Ends those of a cancelled campaign who are still to get it, a thousand in one transaction.

    A campaign of a shop that has uninstalled the app is cancelled by this. Returns how many were ended.
    """
    ended = 0
    while True:
        now = work.clock.now()
        async with work.begin() as unit:
            campaign = await unit.session.get_one(ShopCampaign, campaign_id, with_for_update=True)
            campaign.status, campaign.updated_at = CampaignStatus.CANCELLED, now
            await put_back(unit, [campaign_id])
            waiting = (
                select(ShopMessage)
                .where(ShopMessage.campaign_id == campaign_id, ShopMessage.status == Status.WAITING)
                .order_by(ShopMessage.id)
                .limit(AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            rows = (await unit.session.scalars(waiting)).all()
            await end(unit, ShopMessages, rows, Status.CANCELLED, Reason.CAMPAIGN_CANCELLED, now)
            ended += len(rows)
            if len(rows) < AT_ONCE:
                # Those on their way are ended by the delivery pipeline; nobody waits for a turn any more.
                if not await has_recipients(
                    unit.session, campaign_id, (Status.WAITING, Status.SCHEDULED, Status.SENDING)
                ):
                    campaign.finished_at = now
                return ended


def _needs_batch(campaign: ShopCampaign, shop: Shop, now: datetime) -> bool:
    if shop.uninstalled_at is not None or campaign.send_at is None or campaign.expanded_at is not None:
        return False
    if campaign.status == CampaignStatus.SCHEDULED:
        return now >= opens_at(campaign.send_at, shop.timezone, local_time=campaign.local_time)
    return campaign.status == CampaignStatus.RUNNING


async def _arm_batches(work: Work, due: Sequence[tuple[ShopCampaign, Shop]]) -> int:
    """Adds the batches whose jobs are missing; one that waits for its next attempt is left alone."""
    return await work.queues.arm_missing([batch_job(campaign, shop.domain) for campaign, shop in due])
