"""Shops with customers, and the queues, lanes and road that their campaigns take, on a real Redis and database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlalchemy import insert, select

from tidings.clock import Clock, ManualClock, SystemClock
from tidings.db.database import open_database
from tidings.engine.host import WorkerHost
from tidings.engine.jobs import Handler, Run
from tidings.engine.queues import Queues
from tidings.engine.redis import connect
from tidings.features.shops.campaigns.jobs import EVERY_SECOND
from tidings.features.shops.campaigns.release import Lanes
from tidings.features.shops.campaigns.service import Campaigns
from tidings.features.shops.campaigns.status import count_recipients
from tidings.features.shops.campaigns.worker import calling_for_more, campaign_handlers
from tidings.features.shops.housekeeping import Housekeeping
from tidings.features.shops.jobs import QUEUES, SEND, SendData
from tidings.features.shops.kind import alarm, alarm_id, scope_of, shop_outbox
from tidings.features.shops.mitto_accounts import MittoAccess, ShopChannels
from tidings.features.shops.models import Shop, ShopCampaign, ShopCustomer, ShopMessage
from tidings.features.shops.reports.service import Reports
from tidings.features.shops.rules.audience import campaign_variables
from tidings.features.shops.rules.money import shop_templates
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.delivery.pipeline import Road, Ways
from tidings.messages.delivery.recovery import Sweep
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.policy import Rules
from tidings.providers.base import Channel, Outgoing, Receipt
from tidings.providers.http import HttpClient
from tidings.vault import Vault
from tidings.work import Work

NOON = datetime(2026, 3, 10, 16, tzinfo=UTC)
"""Noon in New York."""

_numbers = itertools.count(1)


class Provider:
    """Takes every message after `latency` seconds, once for each idempotency key; `refuse` may raise a SendError."""

    name = "provider"

    def __init__(self, latency: float = 0.0) -> None:
        self.latency = latency
        self.taken: dict[str, Outgoing] = {}
        self.at_once = self.most_at_once = 0
        self.refuse: Callable[[Outgoing], None] = lambda outgoing: None

    @property
    def recipients(self) -> list[str]:
        return [outgoing.to for outgoing in self.taken.values()]

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.refuse(outgoing)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.latency)
        self.at_once -= 1
        self.taken.setdefault(outgoing.idempotency_key, outgoing)
        return Receipt(self.name, f"id-{outgoing.idempotency_key}")

    async def close(self) -> None:
        """Nothing to release."""


class Verbs(Campaigns, Reports):
    """The verbs of campaigns and reports."""

    def __init__(self, work: Work, rules: Rules) -> None:
        self._work = work
        self._rules = rules
        self._templates = shop_templates()


class Market:
    """Opened with `async with`. Without `work_all` nothing happens by itself: tests run what they want to see."""

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        prefix: str,
        *,
        clock: Clock | None = None,
        provider: Channel | None = None,
        rules: Rules | None = None,
        deadline: float = 1.0,
    ) -> None:
        self.clock = clock or ManualClock(NOON)
        self.provider: Any = provider or Provider()
        self.rules = rules or Rules()
        self._address, self._redis_url, self._prefix, self._deadline = database_url, redis_url, prefix, deadline
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        database = open_database(self._address)
        self._stack.push_async_callback(database.close)
        redis = connect(self._redis_url)
        self._stack.push_async_callback(redis.aclose)
        self.queues = Queues(QUEUES, redis, prefix=self._prefix, clock=self.clock)
        self.work = Work(database, self.queues, self.clock)
        http = HttpClient(timeout=1.0)
        self._stack.push_async_callback(http.close)
        channels = ShopChannels({"sms": self.provider}, MittoAccess(http, Vault([Vault.generate()])))
        delivery = next(policy for policy in QUEUES if policy.name == "delivery")
        outbox = shop_outbox(delivery, channels, shop_templates(), campaign_variables, calling_for_more(self.clock))
        self.road = Road(outbox, self.work, Ways(channels), self.rules, deadline=self._deadline)
        self.lanes = Lanes(self.work, self.rules, alarm)
        self.housekeeping = Housekeeping(self.work, delivery, timedelta(days=90))
        self.shops = Verbs(self.work, self.rules)
        self.handlers: tuple[Handler[Any], ...] = (
            *campaign_handlers(self.work, self.lanes, self.housekeeping),
            Handler(SEND, self._send),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _send(self, data: SendData, run: Run) -> str:
        return await self.road.deliver(data.id or 0, run)

    async def work_all(self, *names: str, lock_duration: float = 5.0) -> None:
        """Starts workers of the queues (by default of all), with the sweep and the look every second."""
        host = WorkerHost(
            self.queues, lambda: connect(self._redis_url), prefix=self._prefix, lock_duration=lock_duration
        )
        self._stack.push_async_callback(host.close, 2.0)
        for policy in QUEUES:
            if not names or policy.name in names:
                host.start(policy, [one for one in self.handlers if one.job_type.queue.name == policy.name])
        sweep = Sweep(self.work, (self.road.outbox,), (EVERY_SECOND,), interval=5.0)
        sweeping = asyncio.create_task(sweep.run())
        self._stack.push_async_callback(_stopped, sweeping)

    async def deliver(self, message_id: int) -> str:
        """What a worker does when the message's job runs; the name of the error if it raises one."""
        try:
            return await self.road.deliver(message_id, Run(alarm_id(message_id), 1, False, "test"))
        except Exception as error:
            return type(error).__name__

    async def shop(self, domain: str = "blossom.myshopify.com", **values: Any) -> Shop:
        """A shop, by default in New York."""
        now = self.clock.now()
        number = next(_numbers)
        defaults: dict[str, Any] = {
            "domain": domain,
            "name": domain.partition(".")[0].title(),
            "timezone": "America/New_York",
            "currency": "USD",
            "region": "US",
            "webhook_secret": "sealed",
            "callback_token": "sealed",
            "callback_hash": f"callback-{number}",
            "api_key_hash": f"key-{number}",
            "sms_prices": {"US": "0.0079", "DE": "0.075"},
            "default_price": "0.05",
            "installed_at": now,
            "created_at": now,
            "updated_at": now,
        }
        async with self.work.begin() as unit:
            row = Shop(**{**defaults, **values})
            unit.session.add(row)
        return row

    async def customers(
        self,
        shop: Shop,
        count: int = 1,
        *,
        consent: bool | None = True,
        timezone: str | None = None,
        prefix: str = "+1212555",
        **values: Any,
    ) -> list[int]:
        """Customers with numbers of their own, who have consented unless said otherwise. Returns their ids."""
        now = self.clock.now()
        first = next(_numbers)
        for _ in range(count - 1):
            next(_numbers)
        times = {"created_at": now, "updated_at": now}
        people: list[dict[str, Any]] = [
            {"name": f"Ada {number}", "phone": f"{prefix}{number % 10_000:04}", "timezone": timezone, **times}
            for number in range(first, first + count)
        ]
        async with self.work.begin() as unit:
            known = (
                await unit.session.scalars(
                    insert(Contractor).returning(Contractor.id, sort_by_parameter_order=True), people
                )
            ).all()
            rows = [
                {
                    "shop_id": shop.id,
                    "contractor_id": contact,
                    "customer_key": f"c{first + index}",
                    "first_name": f"Ada{index}",
                    "last_name": "Abara",
                    "phone": person["phone"],
                    "country": "US",
                    "tags": [],
                    "orders_count": 0,
                    "total_spent": "0",
                    "as_of": now,
                    **times,
                    **values,
                }
                for index, (contact, person) in enumerate(zip(known, people, strict=True))
            ]
            ids = (
                await unit.session.scalars(
                    insert(ShopCustomer).returning(ShopCustomer.id, sort_by_parameter_order=True), rows
                )
            ).all()
            if consent is not None:
                said = {
                    "channel": "sms",
                    "scope": scope_of(shop.id),
                    "granted": consent,
                    "at": now,
                    "source": "shopify",
                }
                await unit.session.execute(insert(Consent), [{"contact_id": contact, **said} for contact in known])
        return list(ids)

    async def campaign(self, shop: Shop, key: str = "sale", **values: Any) -> ShopCampaign:
        """A draft to everybody."""
        template = "Hi {{ customer.first_name }}, {{ shop.name }} has a sale. STOP to end"
        return await self.shops.save_campaign(shop.domain, key, {"name": "Sale", "template": template, **values})

    async def started(self, shop: Shop, key: str = "sale", **values: Any) -> ShopCampaign:
        """A campaign that has been scheduled for now and whose audience is written down."""
        await self.campaign(shop, key, **values)
        campaign = await self.shops.schedule_campaign(shop.domain, key)
        await self.expand(campaign)
        return await self.shops.get_campaign(shop.domain, key)

    async def expand(self, campaign: ShopCampaign, batch_size: int | None = None) -> str:
        """Runs the batches that a worker would, until one has nothing to do. Returns what that one said."""
        batch = self.handlers[0]
        data = batch.job_type.model(campaign_id=campaign.id, batch_size=batch_size)
        while not (said := str(await batch.handle(data, Run("test", 1, False, "test")))).startswith("skipped"):
            continue
        return said

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
        found: dict[str, int] = {}
        for row in await self.rows(campaign):
            found[row.status] = found.get(row.status, 0) + 1
        return found

    async def until_over(self, domain: str, key: str = "sale") -> Mapping[str, Any]:
        """Waits until the campaign is finished and returns its progress."""
        while True:
            progress = (await self.shops.get_progress(domain, key)).model_dump()
            assert_adds_up(progress)
            if progress["status"] == "finished":
                return progress
            await asyncio.sleep(0.05)


def assert_adds_up(progress: Mapping[str, Any]) -> None:
    """The equation that holds at every moment."""
    ended = progress["sent"] + progress["skipped"] + progress["failed"]
    assert ended + progress["waiting"] == progress["audience"]


OpenMarket = Callable[..., Awaitable[Market]]


def real_time(**options: Any) -> dict[str, Any]:
    """Options of a market that lives in the present."""
    return {"clock": SystemClock(), **options}


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
