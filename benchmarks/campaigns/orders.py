"""How long one shop's order confirmations take while another shop's campaign runs, beside the same without it.

Quiet and busy spells alternate, so that whatever else the machine does weighs on both. A confirmation is timed from
the order's arrival in the queue `events` to the provider's answer: the whole way.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.engine.report import percentile
from tidings.features.shops.customers.samples import NewCustomer, add_customers
from tidings.features.shops.service import Shops
from tidings.providers.base import Outgoing, Receipt
from tidings.work import Work

BIG, SMALL = "big.example.com", "small.example.com"
LATENCY = 0.02
"""Seconds that the provider's double takes for each message."""

ORDERS = 12.0
"""Orders a second of the small shop."""

GOAL = 2.0
"""How much longer the slowest hundredth may take during a campaign."""


class SlowProvider:
    """Takes every message after LATENCY seconds, and notes when."""

    name = "simulator"
    drops_repetitions = False

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}
        self._news = asyncio.Condition()

    async def all_taken(self, numbers: Collection[str]) -> None:
        """Waits until every one of the numbers has had a message."""
        async with self._news:
            await self._news.wait_for(lambda: all(number in self.taken for number in numbers))

    async def send(self, outgoing: Outgoing) -> Receipt:
        await asyncio.sleep(LATENCY)
        self.taken.setdefault(outgoing.to, time.perf_counter())
        async with self._news:
            self._news.notify_all()
        return Receipt(self.name, f"sim-{outgoing.idempotency_key}")

    async def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, slots=True)
class Spells:
    """What was measured: milliseconds of every confirmation, and how much of the campaign left meanwhile."""

    quiet: list[float]
    busy: list[float]
    audience: int
    sent: int
    per_second: float

    @property
    def ratio(self) -> float:
        """The slowest hundredth with a campaign, in those without one."""
        return percentile(self.busy, 99) / percentile(self.quiet, 99)


async def measure_orders(
    work: Work,
    shops: Shops,
    provider: SlowProvider,
    *,
    recipients: int,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> Spells:
    """Measures `rounds` of `seconds` without the campaign and as many with it. Workers run already."""
    big, _ = await shops.accounts.create({"domain": BIG, "name": "Big", "webhook_secret": "secret-of-big"})
    await shops.accounts.create(
        {
            "domain": SMALL,
            "name": "Small",
            "webhook_secret": "secret-of-small",
            "presets": ["order_confirmation"],
        }
    )
    say(f"adding {recipients:,} customers")
    await add_customers(
        work, big, [NewCustomer(f"c{n}", f"Ada {n}", "Abara", f"+1810{2_000_000 + n}") for n in range(recipients)]
    )
    template = "Hi {{ customer.first_name }}, {{ shop.name }} has a sale. STOP to end"
    await shops.campaigns.save(BIG, "sale", {"name": "Sale", "template": template})
    orders = _Orders(shops, provider)
    await orders.spell(1.0)  # what is loaded with the first order is no part of it
    await shops.campaigns.schedule(BIG, "sale")
    await shops.campaigns.pause(BIG, "sale")
    quiet: list[float] = []
    busy: list[float] = []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        quiet += await orders.spell(seconds)
        await shops.campaigns.resume(BIG, "sale")
        busy += await orders.spell(seconds)
        await shops.campaigns.pause(BIG, "sale")
    progress = await shops.campaigns.progress(BIG, "sale")
    return Spells(quiet, busy, progress.audience, progress.sent, progress.sent / (rounds * seconds))


class _Orders:
    """The small shop's buyers, each with a number of their own."""

    def __init__(self, shops: Shops, provider: SlowProvider) -> None:
        self._shops = shops
        self._provider = provider
        self._chance = random.Random(20)
        self._number = 0

    async def spell(self, seconds: float) -> list[float]:
        """Orders come in for so long; returns how many milliseconds each confirmation took."""
        began: dict[str, float] = {}
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            self._number += 1
            phone = f"+1313{2_000_000 + self._number}"
            began[phone] = time.perf_counter()
            await self._shops.enqueue_job("events", "orders/create", self._order(self._number, phone))
            await asyncio.sleep(self._chance.expovariate(ORDERS))
        async with asyncio.timeout(30):
            await self._provider.all_taken(began)
        return [(self._provider.taken[phone] - start) * 1000 for phone, start in began.items()]

    @staticmethod
    def _order(number: int, phone: str) -> dict[str, Any]:
        customer = {"id": 7_000_000 + number, "first_name": "Ada", "last_name": "Abara", "phone": phone}
        raw = {
            "id": 9_000_000 + number,
            "name": f"#{number}",
            "created_at": datetime.now(UTC).isoformat(),
            "total_price": "49.90",
            "currency": "USD",
            "test": False,
            "phone": phone,
            "customer": customer,
            "line_items": [{"title": "Peonies", "quantity": 1, "price": "49.90"}],
        }
        return {"topic": "orders/create", "shopId": SMALL, "objectId": str(raw["id"]), "raw": raw}
