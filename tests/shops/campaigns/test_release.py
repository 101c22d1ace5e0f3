"""Fairness: what one shop's campaign leaves to everybody else, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shops.market import Market, OpenMarket
from shops.provider import Provider
from support.app import ledger
from tidings.clock import ManualClock, SystemClock, to_milliseconds
from tidings.errors import SendError
from tidings.features.shops.campaigns.demand import CHUNK, MOST_UNDER_WAY
from tidings.features.shops.campaigns.release import AHEAD, GROUP, PACE
from tidings.features.shops.campaigns.status import due_at, opens_at
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.models import Shop, ShopMessage

DOMAIN = "blossom.myshopify.com"


async def confirm_order(market: Market, shop: Shop, phone: str) -> None:
    """An order confirmation, as an automation writes it."""
    now = market.clock.now()
    async with market.work.begin() as unit:
        row = ShopMessage(
            shop_id=shop.id, deduplication_key=phone, purpose="transactional", recipient=phone, status="scheduled",
            template="Thanks for {{ order.name }}", context={"order": {"name": "#1"}}, attempts=0,
            scheduled_time=to_milliseconds(now), created_at=now, updated_at=now,
        )  # fmt: skip
        unit.session.add(row)
        await unit.session.flush()
        unit.arm(ShopMessages.job(row))


async def test_another_shops_order_confirmation_overtakes_a_campaign(open_market: OpenMarket) -> None:
    market = await open_market(clock=SystemClock(), provider=Provider(latency=0.02))
    big, small = await market.shop(), await market.shop("cinder.myshopify.com")
    await market.customers(big, 400)
    campaign = await market.campaign(big)
    await market.work_all()
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    async with asyncio.timeout(30):
        while len(market.provider.taken) < 20:
            await asyncio.sleep(0.01)
        phones = [f"+1313555{number:04}" for number in range(10)]
        for phone in phones:
            await confirm_order(market, small, phone)
        while not set(phones) <= set(market.provider.recipients):
            await asyncio.sleep(0.005)
        ahead = market.provider.recipients
        assert len(ahead) < 20 + MOST_UNDER_WAY + 10 + 60, "a campaign of 400 was let pass first"
    assert (await market.counts(campaign)).get("waiting", 0) > 100
    assert market.provider.most_at_once <= MOST_UNDER_WAY + 10


@pytest.mark.both_databases
async def test_a_shop_has_only_so_many_recipients_under_way_however_often_it_is_looked_at(
    market: Market,
) -> None:
    shop = await market.shop()
    await market.customers(shop, 3 * MOST_UNDER_WAY)
    campaign = await market.started(shop)
    for _ in range(4):
        await market.release(shop)
    assert await market.counts(campaign) == {"scheduled": MOST_UNDER_WAY, "waiting": 2 * MOST_UNDER_WAY}
    for row in (await market.rows(campaign, "scheduled"))[: CHUNK - 1]:
        market.clock.move(timedelta(milliseconds=20))
        await market.deliver(row.id)
    assert (await market.release(shop))["released"] == 0, "less than a chunk is free"
    market.clock.move(timedelta(seconds=1))
    await market.deliver((await market.rows(campaign, "scheduled"))[0].id)
    assert (await market.release(shop))["released"] == CHUNK


@pytest.mark.both_databases
async def test_two_looks_at_the_same_moment_release_nobody_twice(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 2 * MOST_UNDER_WAY)
    campaign = await market.started(shop)
    done = await asyncio.gather(*(market.release(shop) for _ in range(4)))
    assert sum(each["released"] for each in done) == MOST_UNDER_WAY
    assert await market.counts(campaign) == {"scheduled": MOST_UNDER_WAY, "waiting": MOST_UNDER_WAY}


async def test_every_shop_has_its_turn_and_a_shops_campaigns_share_it(market: Market) -> None:
    shops = [await market.shop(), await market.shop("cinder.myshopify.com")]
    for shop in shops:
        await market.customers(shop, 2 * MOST_UNDER_WAY)
    one = await market.started(shops[0], "one")
    two = await market.started(shops[0], "two")
    other = await market.started(shops[1])
    for shop in shops:
        await market.release(shop)
    released = [(await market.counts(campaign))["scheduled"] for campaign in (one, two, other)]
    assert released == [MOST_UNDER_WAY // 2, MOST_UNDER_WAY // 2, MOST_UNDER_WAY]


async def test_all_shops_together_keep_the_pace(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, MOST_UNDER_WAY)
    campaign = await market.started(shop)
    await market.release(shop)
    times = [row.scheduled_time for row in await market.rows(campaign)]
    assert [times.count(moment) for moment in sorted(set(times))] == [GROUP] * (MOST_UNDER_WAY // GROUP)
    assert (max(times) - min(times)).total_seconds() == (MOST_UNDER_WAY - GROUP) / PACE


async def test_the_pace_is_that_of_the_installation(open_market: OpenMarket) -> None:
    market = await open_market(campaign_pace=PACE / 2)
    shop = await market.shop()
    await market.customers(shop, MOST_UNDER_WAY)
    campaign = await market.started(shop)
    await market.release(shop)
    times = [row.scheduled_time for row in await market.rows(campaign)]
    assert (max(times) - min(times)).total_seconds() == 2 * (MOST_UNDER_WAY - GROUP) / PACE


@pytest.mark.both_databases
async def test_a_rate_spaces_recipients_evenly_over_chunks_and_looks(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 40)
    campaign = await market.started(shop, rate_per_minute=600)
    for _ in range(4):
        await market.release(shop)
        for row in await market.rows(campaign, "scheduled"):
            if row.scheduled_time <= market.clock.now():
                await market.deliver(row.id)
        market.clock.move(timedelta(seconds=1))
    times = sorted(row.scheduled_time for row in await market.rows(campaign, "scheduled", "sent"))
    gaps = {(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)}
    assert gaps == {0.1}
    assert len(times) <= 10 * (3 + AHEAD) + 1


async def test_quiet_hours_put_recipients_off_without_blocking_those_who_are_awake(open_market: OpenMarket) -> None:
    market = await open_market(quiet_hours="21:00-08:00")
    shop = await market.shop()
    await market.customers(shop, 80, timezone="Asia/Tokyo")
    awake = await market.customers(shop, 5, timezone="America/New_York")
    campaign = await market.started(shop)
    done = [await market.release(shop) for _ in range(2)]
    assert (done[0]["put_off"], sum(each["released"] for each in done)) == (80, 5)
    assert [row.customer_id for row in await market.rows(campaign, "scheduled")] == awake
    progress = await market.shops.campaigns.progress(DOMAIN, "sale")
    assert (progress.waiting, progress.audience) == (85, 85)
    asleep = {row.scheduled_time.isoformat() for row in await market.rows(campaign, "waiting")}
    assert asleep == {"2026-03-10T23:00:00+00:00"}  # 8:00 in Tokyo


async def test_the_installations_quiet_hours_put_a_campaign_off_to_the_morning_and_nobody_is_claimed_for_it(
    open_market: OpenMarket,
) -> None:
    late = datetime(2026, 3, 11, 1, 30, tzinfo=UTC)  # half past nine in the evening in New York
    market = await open_market(clock=ManualClock(late), quiet_hours="21:00-08:00")
    morning = datetime(2026, 3, 11, 12, tzinfo=UTC)
    shop = await market.shop()
    await market.customers(shop, 3, timezone="America/New_York")
    await market.campaign(shop, "tried")
    expected = await market.shops.campaigns.dry_run(DOMAIN, "tried")
    assert [(each.until, each.reason, each.recipients) for each in expected.deferred_until] == [
        (morning, "quiet_hours", 3)
    ]
    campaign = await market.started(shop)
    done = await market.release(shop)
    assert (done["released"], done["put_off"]) == (0, 3)
    rows = await market.rows(campaign)
    assert {(row.status, row.scheduled_time, row.attempts) for row in rows} == {("waiting", morning, 0)}
    lines = [await ledger(market.app, "shop-message", row.id) for row in rows]
    assert [[(line.outcome, line.reason) for line in each] for each in lines] == [[("deferred", "quiet_hours")]] * 3
    market.clock.move(morning - late)
    assert (await market.release(shop))["released"] == 3
    assert [await market.deliver(row.id) for row in rows] == ["sent"] * 3


async def test_whom_the_gate_puts_off_for_long_goes_back_to_waiting(open_market: OpenMarket) -> None:
    market = await open_market(frequency_caps="1/1d")
    shop = await market.shop()
    await market.customers(shop, 1)
    first, second = await market.started(shop, "first"), await market.started(shop, "second")
    await market.release(shop)
    [one], [two] = await market.rows(first), await market.rows(second)
    assert await market.deliver(one.id) == "sent"
    market.clock.move(timedelta(seconds=1))
    assert await market.deliver(two.id) == "PostponeJob"
    assert (await market.release(shop))["put_off"] == 1
    [two] = await market.rows(second)
    assert (two.status, two.held_until) == ("waiting", None)
    assert two.scheduled_time == market.clock.now() + timedelta(days=1) - timedelta(seconds=1)
    market.clock.move(timedelta(days=1))
    await market.release(shop)
    assert await market.deliver(two.id) == "sent"


async def test_a_provider_that_asks_for_patience_slows_its_campaign_and_keeps_its_place(market: Market) -> None:
    def refuse(outgoing: Any) -> None:
        raise SendError("429", retryable=True, retry_after=5.0, throttled=True)

    shop = await market.shop()
    await market.customers(shop, MOST_UNDER_WAY + 10)
    campaign = await market.started(shop)
    market.provider.refuse = refuse
    await market.release(shop)
    market.clock.move(timedelta(seconds=1))
    for row in await market.rows(campaign, "scheduled"):
        assert await market.deliver(row.id) == "PostponeJob"
    assert (await market.release(shop))["released"] == 0, "they are still under way"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    day=st.integers(0, 700),
    minute=st.integers(0, 24 * 60 - 1),
    zone=st.sampled_from(["America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Niue", "Europe/Berlin"]),
    shop=st.sampled_from(["UTC", "America/Los_Angeles", "Australia/Sydney"]),
)
def test_local_time_is_the_wall_clock_of_the_recipient_and_never_before_the_audience_opens(
    day: int, minute: int, zone: str, shop: str
) -> None:
    wall = datetime(2026, 1, 1, tzinfo=ZoneInfo(shop)) + timedelta(days=day, minutes=minute)
    send_at = wall.astimezone(UTC)
    due = due_at(send_at, shop, local_time=True, phone=None, recipients_timezone=zone)
    local = due.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    shown = send_at.astimezone(ZoneInfo(shop)).replace(tzinfo=None)
    assert abs(local - shown) <= timedelta(hours=1), "but for an hour that a clock skips"
    assert opens_at(send_at, shop, local_time=True) <= due
