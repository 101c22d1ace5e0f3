"""What the jobs of campaigns and housekeeping do: write an audience down, feed the lanes, keep house."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import Clock
from tidings.engine.jobs import Handler, Job, Run
from tidings.errors import NotFound
from tidings.features.shops.campaigns.expansion import BATCH as BATCH_SIZE
from tidings.features.shops.campaigns.expansion import expand
from tidings.features.shops.campaigns.jobs import FEED, FeedData
from tidings.features.shops.campaigns.release import Lanes, feeds_after
from tidings.features.shops.campaigns.upkeep import go_round
from tidings.features.shops.housekeeping import Housekeeping
from tidings.features.shops.jobs import BATCH, CLEANUP, REPEAT, BatchData
from tidings.features.shops.kind import Concluded
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import ShopCampaign
from tidings.messages.kind import Conclusion
from tidings.work import Work


class CampaignWorker:
    """Handlers of the queue `campaigns`."""

    def __init__(self, work: Work, lanes: Lanes) -> None:
        self._work = work
        self._lanes = lanes

    async def batch(self, data: BatchData, run: Run) -> str:
        """Writes down the next recipients of a campaign, which is named by its id or its shop's key for it."""
        campaign_id = await self._campaign_id(data)
        if campaign_id is None:
            return f"skipped: there is no campaign {data.campaign_id}"
        expanded = await expand(self._work, campaign_id, data.batch_size or BATCH_SIZE)
        if expanded.because:
            return f"skipped: {expanded.because}"
        return f"{expanded.added} recipients{', the last ones' if expanded.is_complete else ''}"

    async def feed(self, data: FeedData, run: Run) -> dict[str, int]:
        """Releases recipients of one shop, or looks at every campaign. Returns what was done."""
        if data.lane is not None:
            fed = await self._lanes.feed(data.lane)
            return {"released": fed.released, "put_off": fed.put_off, "finished": fed.finished}
        done = await go_round(self._work, self._lanes)
        return {"released": done.released, "batches": done.batches, "ended": done.ended}

    async def _campaign_id(self, data: BatchData) -> int | None:
        async with self._work.read() as session:
            query = select(ShopCampaign.id)
            if isinstance(data.campaign_id, int):
                query = query.where(ShopCampaign.id == data.campaign_id)
            else:
                query = query.where(ShopCampaign.key == data.campaign_id)
            if data.shop_id is not None:
                try:
                    query = query.where(ShopCampaign.shop_id == (await find_shop(session, data.shop_id)).id)
                except NotFound:
                    return None
            elif isinstance(data.campaign_id, str):
                return None  # keys are each shop's own
            return await session.scalar(query)


def campaign_handlers(work: Work, lanes: Lanes, housekeeping: Housekeeping) -> tuple[Handler[Any], ...]:
    """The handlers of the queues `campaigns` and `housekeeping`."""
    worker = CampaignWorker(work, lanes)
    return (
        Handler(BATCH, worker.batch),
        Handler(FEED, worker.feed),
        Handler(REPEAT, housekeeping.run),
        Handler(CLEANUP, housekeeping.run),
    )


def calling_for_more(clock: Clock) -> Concluded:
    """What follows the ending of a campaign's messages, for the outbox: the next ones are called for."""

    async def conclude(connection: AsyncConnection, conclusions: Sequence[Conclusion]) -> list[Job]:
        return await feeds_after(connection, conclusions, clock.now())

    return conclude
