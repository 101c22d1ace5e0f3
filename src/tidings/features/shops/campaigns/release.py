"""Fair releases: how campaigns' recipients get to the delivery queue.

A campaign of 100,000 would fill the queue that every shop's messages share. So its recipients wait in their rows:
of each shop a few are released at a time, and the next ones when those have come to their end. All shops together
keep a pace that leaves most of the machine to everybody else; running campaigns share it. What the gate puts off for
long goes back to waiting, so that it keeps nobody's place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.features.shops.campaigns.demand import CHUNK, MOST_UNDER_WAY
from tidings.features.shops.campaigns.jobs import release_job
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.recipients import LONG, count_under_way, has_recipients, put_back
from tidings.features.shops.campaigns.status import NOT_ENDED, CampaignStatus
from tidings.features.shops.kind import ShopMessages, campaign_terms
from tidings.features.shops.models import Shop, ShopMessage
from tidings.messages.changes import decision
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.policy import Defer, quiet_until
from tidings.messages.gate.rules import Rules
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import Status
from tidings.messages.tenants import rules_of, shop_tenant
from tidings.work import Unit, Work

PACE = 100.0
"""Recipients a real second that all shops together release, unless an installation says otherwise."""

GROUP = 10
"""Recipients who are due at the same moment: their rows are taken and recorded in one statement."""

AHEAD = 2.0
"""Real seconds for which a campaign with a rate is released in advance: more than until the next look."""

SHIFTED = 500
"""Recipients in quiet hours that one look moves to the morning."""

AGAIN = 0.05
"""Real seconds until the next look after one that has moved recipients."""


@dataclass(frozen=True, slots=True)
class Released:
    """What one look at a shop came to."""

    released: int = 0
    put_off: int = 0
    finished: int = 0


class Releases:
    """Lets recipients of all shops go. `rules` are the gate's, `pace` is how many a real second go altogether."""

    def __init__(self, work: Work, rules: Rules, *, pace: float = PACE) -> None:
        self._work = work
        self._rules = rules
        self._pace = pace

    async def release(self, shop_id: int) -> Released:
        """Releases what a shop may send now. Whoever looks at the same shop at the same time takes turns."""
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            campaigns = await self._running(unit.session, shop_id)
            if not campaigns:
                return Released()
            ids = [campaign.id for campaign in campaigns]
            put_off = await put_back(unit, ids, ShopMessage.held_until > now + LONG)
            room = MOST_UNDER_WAY - await count_under_way(unit.session, ids, now)
            released = 0
            if room >= CHUNK:
                shop = await unit.session.get_one(Shop, shop_id)
                spacing = await self._spacing(unit.session, now)
                for number, campaign in enumerate(campaigns):
                    share = -(-(room - released) // (len(campaigns) - number))
                    if share > 0:
                        let_go, moved = await self._release_some(unit, campaign, shop, share, spacing, now)
                        released, put_off = released + let_go, put_off + moved
            finished = await self._finish(unit.session, campaigns, now)
            if put_off:
                again = self._work.clock.after(AGAIN)
                unit.arm(release_job(shop_id, f"again-{int(again.timestamp() * 1000)}", due=again))
        return Released(released, put_off, finished)

    async def _running(self, session: AsyncSession, shop_id: int) -> Sequence[ShopCampaign]:
        """The shop's running campaigns, locked; the one that waited longest for its turn first."""
        rows = await session.scalars(
            select(ShopCampaign)
            .join(Shop, Shop.id == ShopCampaign.shop_id)
            .where(
                ShopCampaign.shop_id == shop_id,
                ShopCampaign.status == CampaignStatus.RUNNING,
                Shop.uninstalled_at.is_(None),
            )
            .order_by(ShopCampaign.id)
            .with_for_update(of=ShopCampaign)
        )
        return sorted(rows, key=lambda campaign: campaign.updated_at)

    async def _spacing(self, session: AsyncSession, now: datetime) -> timedelta:
        """The time between two recipients of one campaign; all that have somebody to send to now share the pace."""
        has_somebody = exists().where(
            ShopMessage.campaign_id == ShopCampaign.id,
            ShopMessage.status == Status.WAITING,
            ShopMessage.scheduled_time <= now,
        )
        running = await session.scalar(
            select(func.count()).where(ShopCampaign.status == CampaignStatus.RUNNING, has_somebody)
        )
        return (self._work.clock.after(1.0) - now) / self._pace * max(running or 0, 1)

    async def _release_some(
        self, unit: Unit, campaign: ShopCampaign, shop: Shop, share: int, spacing: timedelta, now: datetime
    ) -> tuple[int, int]:
        """Releases up to `share` recipients of one campaign. Returns how many, and how many were put off."""
        together = GROUP
        if campaign.rate_per_minute and timedelta(minutes=1) / campaign.rate_per_minute > spacing:
            spacing, together = timedelta(minutes=1) / campaign.rate_per_minute, 1
        next_at = max(campaign.next_release_at or now, now)
        ahead = self._work.clock.after(AHEAD) - next_at
        share = min(share, int(ahead / spacing) + 1) if ahead >= timedelta(0) else 0
        if not share:
            return 0, 0
        rows, put_off = await self._awake(unit.session, campaign, shop, share, now)
        times: defaultdict[datetime, list[int]] = defaultdict(list)
        for number, row in enumerate(rows):
            times[to_milliseconds(next_at + spacing * (number // together * together))].append(row.id)
        for moment, ids in times.items():
            released = await unit.session.scalars(
                update(ShopMessage)
                .where(ShopMessage.id.in_(ids))
                .values(status=Status.SCHEDULED, scheduled_time=moment, held_until=None, updated_at=now)
                .returning(ShopMessage)
                .execution_options(populate_existing=True)
            )
            for message in released:
                unit.arm(ShopMessages.job(message))
        if rows:
            campaign.updated_at = now
            campaign.next_release_at = next_at + spacing * len(rows)
        return len(rows), put_off

    async def _awake(
        self, session: AsyncSession, campaign: ShopCampaign, shop: Shop, most: int, now: datetime
    ) -> tuple[list[Any], int]:
        """The next recipients who are due and whom the gate would let have their turn; others wait until it would.

        The gate would put them off one by one, each on a turn that somebody else could have had.
        """
        tenant = shop_tenant(shop.id)
        rules = (await rules_of(session, [tenant], self._rules))[tenant]
        awake, asleep = _divided(await _due(session, campaign.id, now, most), campaign, rules, now)
        if asleep:
            awake, asleep = _divided(await _due(session, campaign.id, now, SHIFTED), campaign, rules, now)
        put_off = 0
        for until, rows in asleep.items():
            put_off += len(rows)
            await session.execute(
                update(ShopMessage)
                .where(ShopMessage.id.in_([row.id for row, _ in rows]))
                .values(scheduled_time=until, updated_at=now)
            )
            await write_lines(session, [_put_off_line(row, deferred, now) for row, deferred in rows])
        return awake[:most], put_off

    async def _finish(self, session: AsyncSession, campaigns: Sequence[ShopCampaign], now: datetime) -> int:
        """Notes which campaigns have nobody left."""
        finished = 0
        for campaign in campaigns:
            if campaign.expanded_at is not None and not await has_recipients(session, campaign.id, NOT_ENDED):
                campaign.status, campaign.finished_at, campaign.updated_at = CampaignStatus.FINISHED, now, now
                finished += 1
        return finished


async def _due(session: AsyncSession, campaign_id: int, now: datetime, most: int) -> Sequence[Any]:
    rows = await session.execute(
        select(
            ShopMessage.id,
            ShopMessage.shop_id,
            ShopMessage.contractor_id,
            ShopMessage.recipient,
            ShopMessage.scheduled_time,
            ShopMessage.not_after,
            Contractor.timezone,
        )
        .outerjoin(Contractor, Contractor.id == ShopMessage.contractor_id)
        .where(
            ShopMessage.campaign_id == campaign_id,
            ShopMessage.status == Status.WAITING,
            ShopMessage.scheduled_time <= now,
        )
        .order_by(ShopMessage.scheduled_time, ShopMessage.id)
        .limit(most)
        .with_for_update(of=ShopMessage, skip_locked=True)
    )
    return rows.all()


def _put_off_line(row: Any, deferred: Defer, now: datetime) -> dict[str, Any]:
    inputs = {"scheduled_time": row.scheduled_time.isoformat(), **deferred.inputs}
    return decision(ShopMessages, row, Outcome.DEFERRED, deferred.reason, now, inputs=inputs)


def _divided(
    rows: Sequence[Any], campaign: ShopCampaign, rules: Rules, now: datetime
) -> tuple[list[Any], Mapping[datetime, list[tuple[Any, Defer]]]]:
    """Those who may have their turn now, and the others by when the gate lets them."""
    terms = campaign_terms(campaign.if_blocked)
    awake: list[Any] = []
    asleep: defaultdict[datetime, list[tuple[Any, Defer]]] = defaultdict(list)
    for row in rows:
        deferred = quiet_until(
            rules,
            terms,
            now,
            phone=row.recipient,
            timezone=row.timezone,
            not_after=row.not_after,
        )
        if deferred is None:
            awake.append(row)
        else:
            asleep[to_milliseconds(deferred.until)].append((row, deferred))
    return awake, asleep
