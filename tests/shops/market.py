"""Shops with customers and campaigns. Without workers nothing happens by itself; tests run jobs one by one."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update

from support.app import deliver, run_job
from tidings.app import App
from tidings.features.shops.campaigns.jobs import RELEASE, UPKEEP, ReleaseData, UpkeepData
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.progress import count_recipients
from tidings.features.shops.customers.samples import NewCustomer, add_customers
from tidings.features.shops.jobs import BATCH, QUEUES, BatchData
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage
from tidings.features.shops.service import Shops
from tidings.work import Work

NOON = datetime(2026, 3, 10, 16, tzinfo=UTC)
"""Noon in New York."""

_numbers = itertools.count(1)


@dataclass
class Market:
    """An installation whose SMS go to `provider`."""

    app: App
    provider: Any

    @property
    def clock(self) -> Any:
        return self.app.clock

    @property
    def work(self) -> Work:
        return self.app.work

    @property
    def shops(self) -> Shops:
        return self.app.shops

    async def work_all(self) -> None:
        """Starts workers of the shops' queues."""
        await self.app.start_workers([policy.name for policy in QUEUES])

    async def deliver(self, message_id: int) -> str:
        """What a worker does when the message's job runs; the name of the error if it raises one."""
        try:
            return str(await deliver(self.app, "shop-message", message_id))
        except Exception as error:
            return type(error).__name__

    async def release(self, shop: Shop) -> Mapping[str, int]:
        """Lets those recipients of a shop go whose turn it is; says how many were `released`, `put_off`…"""
        return await run_job(self.app, RELEASE, ReleaseData(shop=shop.id))  # type: ignore[no-any-return]

    async def look(self) -> Mapping[str, int]:
        """The look at every campaign that there is once a second."""
        return await run_job(self.app, UPKEEP, UpkeepData())  # type: ignore[no-any-return]

    async def batch(self, campaign: ShopCampaign, batch_size: int | None = None) -> str:
        """Writes the next recipients down, and says how many."""
        return str(await run_job(self.app, BATCH, BatchData(campaign_id=campaign.id, batch_size=batch_size)))

    async def expand(self, campaign: ShopCampaign, batch_size: int | None = None) -> str:
        """Batch after batch, until one has nothing to do. Returns what that one said."""
        while not (said := await self.batch(campaign, batch_size)).startswith("skipped"):
            continue
        return said

    async def shop(self, domain: str = "blossom.myshopify.com") -> Shop:
        """A shop in New York."""
        shop, _ = await self.shops.accounts.create(
            {
                "domain": domain,
                "name": domain.partition(".")[0].title(),
                "timezone": "America/New_York",
                "webhook_secret": f"secret of {domain}",
                "sms_prices": {"US": "0.0079", "DE": "0.075"},
                "default_price": "0.05",
            }
        )
        return shop

    async def customers(
        self,
        shop: Shop,
        count: int = 1,
        *,
        consent: bool | None = True,
        timezone: str | None = None,
        prefix: str = "+1212555",
        **columns: Any,
    ) -> list[int]:
        """Customers with numbers of their own, who have consented unless said otherwise. Returns their ids."""
        people = [
            NewCustomer(f"c{number}", f"Ada{index}", "Abara", f"{prefix}{number % 10_000:04}", consent, timezone)
            for index, number in enumerate(itertools.islice(_numbers, count))
        ]
        await add_customers(self.work, shop, people)
        theirs = ShopCustomer.shop_id == shop.id, ShopCustomer.customer_key.in_([one.key for one in people])
        async with self.work.begin() as unit:
            if columns:
                await unit.session.execute(update(ShopCustomer).where(*theirs).values(**columns))
            return list(await unit.session.scalars(select(ShopCustomer.id).where(*theirs).order_by(ShopCustomer.id)))

    async def campaign(self, shop: Shop, key: str = "sale", **values: Any) -> ShopCampaign:
        """A draft to everybody."""
        template = "Hi {{ customer.first_name }}, {{ shop.name }} has a sale. STOP to end"
        return await self.shops.campaigns.save(shop.domain, key, {"name": "Sale", "template": template, **values})

    async def started(self, shop: Shop, key: str = "sale", **values: Any) -> ShopCampaign:
        """A campaign that has been scheduled for now and whose audience is written down."""
        await self.campaign(shop, key, **values)
        campaign = await self.shops.campaigns.schedule(shop.domain, key)
        await self.expand(campaign)
        return await self.shops.campaigns.get(shop.domain, key)

    async def set(self, row: Any, **columns: Any) -> None:
        """Changes a row as another program would."""
        async with self.work.begin() as unit:
            await unit.session.execute(update(type(row)).where(type(row).id == row.id).values(**columns))

    async def rows(self, campaign: ShopCampaign, *statuses: str) -> Sequence[ShopMessage]:
        """A campaign's recipients in order of id."""
        query = select(ShopMessage).where(ShopMessage.campaign_id == campaign.id).order_by(ShopMessage.id)
        if statuses:
            query = query.where(ShopMessage.status.in_(statuses))
        async with self.work.read() as session:
            return (await session.scalars(query)).all()

    async def counts(self, campaign: ShopCampaign) -> dict[str, int]:
        """How many recipients have which status; what must always add up is checked."""
        async with self.work.read() as session:
            assert (await count_recipients(session, campaign.id)).imbalance == 0
        return dict(Counter(row.status for row in await self.rows(campaign)))

    async def until_over(self, domain: str, key: str = "sale") -> Mapping[str, Any]:
        """Waits until the campaign is finished and returns its progress."""
        while True:
            progress = (await self.shops.campaigns.progress(domain, key)).model_dump()
            assert_adds_up(progress)
            if progress["status"] == "finished":
                return progress
            await asyncio.sleep(0.05)


def assert_adds_up(progress: Mapping[str, Any]) -> None:
    """The equation that holds at every moment."""
    ended = progress["sent"] + progress["skipped"] + progress["failed"] + progress["unknown"]
    assert ended + progress["waiting"] == progress["audience"]


OpenMarket = Callable[..., Awaitable[Market]]
