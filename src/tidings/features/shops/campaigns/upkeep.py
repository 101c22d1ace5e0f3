"""The look at every campaign, once a second: what is due starts, what a lost job left behind goes on.

Everything else happens without it as well, only later: a campaign's batches ask for each other, and endings
ask for the next recipients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select, update

from tidings.features.shops.campaigns.jobs import batch_id, batch_job
from tidings.features.shops.campaigns.recipients import has_recipients, put_back
from tidings.features.shops.campaigns.release import Lanes
from tidings.features.shops.campaigns.status import CampaignStatus, opens_at
from tidings.features.shops.jobs import CAMPAIGNS
from tidings.features.shops.kind import CHANNEL, KIND
from tidings.features.shops.models import WAITING, Shop, ShopCampaign, ShopMessage
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import Reason, Status
from tidings.work import Work

AT_ONCE = 1000
"""Recipients of a cancelled campaign that one transaction ends."""

_LIVE = or_(
    ShopCampaign.status.in_((CampaignStatus.SCHEDULED, CampaignStatus.RUNNING, CampaignStatus.PAUSED)),
    and_(ShopCampaign.status == CampaignStatus.CANCELLED, ShopCampaign.finished_at.is_(None)),
)


@dataclass(frozen=True, slots=True)
class Round:
    """What one look came to."""

    released: int = 0
    batches: int = 0
    ended: int = 0


async def go_round(work: Work, lanes: Lanes) -> Round:
    """Looks at every campaign that is not history, and feeds the lane of every shop that has a running one."""
    async with work.read() as session:
        found = (
            await session.execute(select(ShopCampaign, Shop).join(Shop, Shop.id == ShopCampaign.shop_id).where(_LIVE))
        ).all()
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
        released += (await lanes.feed(shop_id)).released
    return Round(released, batches, ended)


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
            rows = (
                await unit.session.execute(
                    select(ShopMessage.id, ShopMessage.contractor_id, ShopMessage.request_id)
                    .where(ShopMessage.campaign_id == campaign_id, ShopMessage.status == WAITING)
                    .order_by(ShopMessage.id)
                    .limit(AT_ONCE)
                    .with_for_update(skip_locked=True)
                )
            ).all()
            await unit.session.execute(
                update(ShopMessage)
                .where(ShopMessage.id.in_([row.id for row in rows]))
                .values(
                    status=Status.CANCELLED, status_reason=Reason.CAMPAIGN_CANCELLED, held_until=None, updated_at=now
                )
            )
            await write_lines(unit.session, [_cancelled_line(row, now) for row in rows])
            ended += len(rows)
            if len(rows) < AT_ONCE:
                # Those on their way are ended by their own road; nobody waits for a turn any more.
                if not await has_recipients(unit.session, campaign_id, (WAITING, Status.SCHEDULED, Status.SENDING)):
                    campaign.finished_at = now
                return ended


def _cancelled_line(row: Any, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "kind": KIND,
        "message_id": row.id,
        "contact_id": row.contractor_id,
        "outcome": Outcome.CANCELLED,
        "reason": Reason.CAMPAIGN_CANCELLED,
        "channel": CHANNEL,
        "request_id": row.request_id,
    }


def _needs_batch(campaign: ShopCampaign, shop: Shop, now: datetime) -> bool:
    if shop.uninstalled_at is not None or campaign.send_at is None or campaign.expanded_at is not None:
        return False
    if campaign.status == CampaignStatus.SCHEDULED:
        return now >= opens_at(campaign.send_at, shop.timezone, local_time=campaign.local_time)
    return campaign.status == CampaignStatus.RUNNING


async def _arm_batches(work: Work, due: Sequence[tuple[ShopCampaign, Shop]]) -> int:
    """Adds the batches whose jobs are missing; one that waits for its next attempt is left alone."""
    if not due:
        return 0
    found = await work.queues.find(CAMPAIGNS.name, [batch_id(campaign) for campaign, _ in due])
    missing = [
        batch_job(campaign, shop.domain) for (campaign, shop), job in zip(due, found, strict=True) if job is None
    ]
    await work.release(missing)
    return len(missing)
