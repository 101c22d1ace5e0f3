"""Housekeeping: each task does its work once, however often and by however many it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from shops.market import NOON, Market, OpenMarket
from support.app import deliver, run_job
from tidings.clock import ManualClock
from tidings.engine.jobs import GiveUpJob
from tidings.errors import InvalidInput, SendError
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.jobs import DELIVERY, REPEAT, TaskData
from tidings.features.shops.models import Shop, ShopMessage, ShopWebhookEvent
from tidings.features.shops.reports.rollup import bounds
from tidings.messages.ledger import LedgerEntry
from tidings.providers.base import Outgoing
from tidings.providers.simulator import Simulator

DOMAIN = "blossom.myshopify.com"


async def do(market: Market, task: str, domain: str | None = DOMAIN) -> Mapping[str, int]:
    """Runs a task as a worker does; says for how many shops, and how many rows it came to."""
    data = TaskData.model_validate({"task": task, "shopId": domain, "requestId": "req_789"})
    return await run_job(market.app, REPEAT, data)  # type: ignore[no-any-return]


async def do_twice_at_once(market: Market, task: str) -> list[int]:
    """Runs a task twice at the same moment and once more; returns how many rows those two and that one came to."""
    one, other = await asyncio.gather(do(market, task), do(market, task))
    return [one["rows"] + other["rows"], (await do(market, task))["rows"]]


async def send_all(market: Market, shop: Shop, campaign: ShopCampaign) -> None:
    """Brings every recipient to an end."""
    while await market.rows(campaign, "waiting"):
        await market.release(shop)
        market.clock.move(timedelta(seconds=1))
        for row in await market.rows(campaign, "scheduled"):
            await market.deliver(row.id)
    await market.release(shop)


async def add_event(market: Market, shop: Shop, event_id: str) -> None:
    now = market.clock.now()
    async with market.work.begin() as unit:
        unit.session.add(
            ShopWebhookEvent(
                shop_id=shop.id,
                event_id=event_id,
                topic="orders/paid",
                raw={"email": "ada@example.com"},
                request_id="r",
                received_at=now,
                processed_at=now,
                evaluated_at=now,
                missing=[],
                evaluation={},
            )
        )


@pytest.mark.both_databases
async def test_what_is_older_than_the_installation_keeps_it_is_emptied_and_its_figures_stay(
    open_market: OpenMarket,
) -> None:
    market = await open_market(retention_days=30)
    shop = await market.shop()
    await market.customers(shop, 3)
    old = await market.started(shop, "old")
    await send_all(market, shop, old)
    await add_event(market, shop, "old")
    before = await market.shops.campaigns.progress(DOMAIN, "old")
    market.clock.move(timedelta(days=31))
    new = await market.started(shop, "new")
    await send_all(market, shop, new)
    await add_event(market, shop, "new")
    assert await do_twice_at_once(market, "cleanup_old_messages") == [4, 0]
    assert [row.text for row in await market.rows(old)] == [None] * 3
    assert all(row.text for row in await market.rows(new))
    after = await market.shops.campaigns.progress(DOMAIN, "old")
    assert (after.sent, after.segments, after.cost) == (before.sent, before.segments, before.cost) == (3, 3, "0.0237")
    async with market.work.read() as session:
        raw = (await session.scalars(select(ShopWebhookEvent.raw).order_by(ShopWebhookEvent.id))).all()
    assert raw == [None, {"email": "ada@example.com"}]


async def fail_all(market: Market, shop: Shop, campaign: ShopCampaign) -> None:
    """Every attempt at every recipient fails, for a reason that may pass."""

    def refuse(outgoing: Outgoing) -> None:
        raise SendError("the provider answered 503", retryable=True)

    market.provider.refuse = refuse
    await market.release(shop)
    market.clock.move(timedelta(seconds=1))
    for row in await market.rows(campaign, "scheduled"):
        for attempt in range(1, DELIVERY.attempts + 1):
            last = attempt == DELIVERY.attempts
            with pytest.raises((SendError, GiveUpJob)):
                await deliver(market.app, "shop-message", row.id, attempt=attempt, last=last)
            market.clock.move(timedelta(minutes=1))
    market.provider.refuse = lambda outgoing: None
    await market.release(shop)


async def test_what_used_up_its_attempts_is_tried_once_more_and_never_again(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 2)
    campaign = await market.started(shop)
    await fail_all(market, shop, campaign)
    progress = await market.shops.campaigns.progress(DOMAIN, "sale")
    assert (progress.status, progress.failed) == ("finished", 2)
    assert await do_twice_at_once(market, "retry_failed_messages") == [2, 0]
    assert await market.counts(campaign) == {"waiting": 2}
    assert (await market.shops.campaigns.progress(DOMAIN, "sale")).status == "running"
    await fail_all(market, shop, campaign)
    assert await do_twice_at_once(market, "retry_failed_messages") == [0, 0]
    assert (await market.shops.campaigns.progress(DOMAIN, "sale")).failed == 2


async def test_a_failure_that_stays_one_is_not_tried_again(market: Market) -> None:
    def refuse(outgoing: Outgoing) -> None:
        raise SendError("no such number", retryable=False)

    shop = await market.shop()
    await market.customers(shop, 1)
    campaign = await market.started(shop)
    market.provider.refuse = refuse
    await send_all(market, shop, campaign)
    assert await do_twice_at_once(market, "retry_failed_messages") == [0, 0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"later": timedelta(hours=25)}, "it is too long ago"),
        ({"status": "cancelled"}, "its campaign was cancelled"),
        ({"uninstalled": True}, "its shop has left"),
        ({"not_after": NOON}, "it is of no use any more"),
    ],
)
async def test_nobody_is_written_to_again_for_whom_it_is_over(
    market: Market, change: dict[str, Any], why: str
) -> None:
    shop = await market.shop()
    await market.customers(shop, 1)
    campaign = await market.started(shop)
    await fail_all(market, shop, campaign)
    async with market.work.begin() as unit:
        if "status" in change:
            (await unit.session.get_one(ShopCampaign, campaign.id)).status = change["status"]
        if "uninstalled" in change:
            (await unit.session.get_one(Shop, shop.id)).uninstalled_at = NOON
        if "not_after" in change:
            for row in await unit.session.scalars(select(ShopMessage)):
                row.not_after = change["not_after"]
    market.clock.move(change.get("later", timedelta(0)))
    assert await do_twice_at_once(market, "retry_failed_messages") == [0, 0], why


@pytest.mark.both_databases
async def test_daily_figures_are_those_of_the_shops_own_days_and_the_same_however_often_they_are_counted(
    open_market: OpenMarket,
) -> None:
    # Half past eleven at night in New York, where a new day begins half an hour later.
    clock = ManualClock(datetime(2026, 3, 11, 3, 30, tzinfo=UTC))
    market = await open_market(clock=clock)
    shop = await market.shop()
    await market.customers(shop, 2)
    await market.customers(shop, 1, consent=None)
    late = await market.started(shop, "late")
    await send_all(market, shop, late)
    async with market.work.begin() as unit:
        line = await unit.session.scalar(select(LedgerEntry).where(LedgerEntry.outcome == "sent").limit(1))
        assert line is not None
        line.delivery_status = "DELIVERED"
    clock.move(timedelta(hours=1))
    await send_all(market, shop, await market.started(shop, "early"))
    assert await do_twice_at_once(market, "rollup_reports") == [4, 2]
    report = await market.shops.reports.get(DOMAIN)
    assert [
        (str(day.day), day.campaign, day.sent, day.delivered, day.skipped, day.segments, day.cost)
        for day in report.days
    ] == [
        ("2026-03-10", "late", 2, 1, 1, 2, "0.0158"),
        ("2026-03-11", "early", 2, 0, 1, 2, "0.0158"),
    ]
    assert report.total == {
        "sent": 4, "simulated": 0, "delivered": 1, "undelivered": 0, "skipped": 2, "failed": 0, "segments": 4,
        "cost": "0.0316",
    }  # fmt: skip
    one_day = await market.shops.reports.get(DOMAIN, first=report.days[1].day)
    assert len(one_day.days) == 1
    with pytest.raises(InvalidInput, match="last: must be a day from the first one on"):
        await market.shops.reports.get(DOMAIN, first=report.days[1].day, last=report.days[0].day)


async def test_a_campaign_finishes_and_neither_it_nor_the_reports_call_anything_sent(open_market: OpenMarket) -> None:
    market = await open_market(clock=ManualClock(datetime(2026, 3, 11, 15, tzinfo=UTC)), provider=Simulator())
    shop = await market.shop()
    await market.customers(shop, 3)
    campaign = await market.started(shop, "sale")
    await send_all(market, shop, campaign)
    progress = await market.shops.campaigns.progress(DOMAIN, "sale")
    assert (progress.status, progress.simulated, progress.sent, progress.cost) == ("finished", 3, 0, "0")
    await do(market, "rollup_reports")
    total = (await market.shops.reports.get(DOMAIN)).total
    assert (total["simulated"], total["sent"], total["cost"]) == (3, 0, "0")


async def test_figures_are_right_on_the_day_on_which_the_clocks_change() -> None:
    start, end = bounds(datetime(2026, 3, 8, tzinfo=UTC).date(), "America/New_York")
    assert (start.isoformat(), end - start) == ("2026-03-08T05:00:00+00:00", timedelta(hours=23))


async def test_a_task_for_a_shop_that_there_is_not_fails_for_good_and_one_without_a_shop_is_for_all(
    market: Market,
) -> None:
    await market.shop()
    await market.shop("cinder.myshopify.com")
    assert await do(market, "rollup_reports", None) == {"shops": 2, "rows": 0}
    with pytest.raises(GiveUpJob, match="there is no shop nobody"):
        await do(market, "rollup_reports", "nobody")
