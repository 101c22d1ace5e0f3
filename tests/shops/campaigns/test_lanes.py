"""Fairness: what one shop's campaign leaves to everybody else, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shops.market import Market, OpenMarket, Provider, real_time
from tidings.clock import to_milliseconds
from tidings.errors import SendError
from tidings.features.shops.campaigns.release import AHEAD, CHUNK, GROUP, LANE, PACE
from tidings.features.shops.campaigns.status import due_at, opens_at
from tidings.features.shops.kind import alarm
from tidings.features.shops.models import Shop, ShopMessage
from tidings.messages.gate.policy import Rules, parse_caps
from tidings.messages.gate.quiet_hours import QuietHours

DOMAIN = "blossom.myshopify.com"
QUIET = Rules(QuietHours(time(21), time(8)))


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
        unit.arm(alarm(row))


async def test_another_shops_order_confirmation_overtakes_a_campaign(open_market: OpenMarket) -> None:
    market = await open_market(**real_time(provider=Provider(latency=0.02)))
    big, small = await market.shop(), await market.shop("cinder.myshopify.com")
    await market.customers(big, 400)
    campaign = await market.campaign(big)
    await market.work_all()
    await market.shops.schedule_campaign(DOMAIN, "sale")
    async with asyncio.timeout(30):
        while len(market.provider.taken) < 20:
            await asyncio.sleep(0.01)
        phones = [f"+1313555{number:04}" for number in range(10)]
        for phone in phones:
            await confirm_order(market, small, phone)
        while not set(phones) <= set(market.provider.recipients):
            await asyncio.sleep(0.005)
        ahead = market.provider.recipients
        assert len(ahead) < 20 + LANE + 10 + 60, "a campaign of 400 was let pass first"
    assert (await market.counts(campaign)).get("waiting", 0) > 100
    assert market.provider.most_at_once <= LANE + 10


async def test_a_shop_has_no_more_released_than_its_lane_however_often_it_is_fed(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 3 * LANE)
    campaign = await market.started(shop)
    for _ in range(4):
        await market.lanes.feed(shop.id)
    assert await market.counts(campaign) == {"scheduled": LANE, "waiting": 2 * LANE}
    for row in (await market.rows(campaign, "scheduled"))[: CHUNK - 1]:
        market.clock.move(timedelta(milliseconds=20))
        await market.deliver(row.id)
    assert (await market.lanes.feed(shop.id)).released == 0, "less than a chunk is free"
    market.clock.move(timedelta(seconds=1))
    await market.deliver((await market.rows(campaign, "scheduled"))[0].id)
    assert (await market.lanes.feed(shop.id)).released == CHUNK


async def test_two_looks_at_the_same_moment_release_nobody_twice(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 2 * LANE)
    campaign = await market.started(shop)
    fed = await asyncio.gather(*(market.lanes.feed(shop.id) for _ in range(4)))
    assert sum(each.released for each in fed) == LANE
    assert await market.counts(campaign) == {"scheduled": LANE, "waiting": LANE}


async def test_every_shop_has_a_lane_and_a_shops_campaigns_share_it(market: Market) -> None:
    shops = [await market.shop(), await market.shop("cinder.myshopify.com")]
    for shop in shops:
        await market.customers(shop, 2 * LANE)
    one = await market.started(shops[0], "one")
    two = await market.started(shops[0], "two")
    other = await market.started(shops[1])
    for shop in shops:
        await market.lanes.feed(shop.id)
    released = [(await market.counts(campaign))["scheduled"] for campaign in (one, two, other)]
    assert released == [LANE // 2, LANE // 2, LANE]


async def test_all_lanes_together_keep_the_pace(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, LANE)
    campaign = await market.started(shop)
    await market.lanes.feed(shop.id)
    times = [row.scheduled_time for row in await market.rows(campaign)]
    assert [times.count(moment) for moment in sorted(set(times))] == [GROUP] * (LANE // GROUP)
    assert (max(times) - min(times)).total_seconds() == (LANE - GROUP) / PACE


async def test_a_rate_spaces_recipients_evenly_over_chunks_and_looks(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 40)
    campaign = await market.started(shop, rate_per_minute=600)
    for _ in range(4):
        await market.lanes.feed(shop.id)
        for row in await market.rows(campaign, "scheduled"):
            if row.scheduled_time <= market.clock.now():
                await market.deliver(row.id)
        market.clock.move(timedelta(seconds=1))
    times = sorted(row.scheduled_time for row in await market.rows(campaign, "scheduled", "sent"))
    gaps = {(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)}
    assert gaps == {0.1}
    assert len(times) <= 10 * (3 + AHEAD) + 1


async def test_quiet_hours_put_recipients_off_without_blocking_those_who_are_awake(open_market: OpenMarket) -> None:
    market = await open_market(rules=QUIET)
    shop = await market.shop()
    await market.customers(shop, 80, timezone="Asia/Tokyo")
    awake = await market.customers(shop, 5, timezone="America/New_York")
    campaign = await market.started(shop)
    fed = [await market.lanes.feed(shop.id) for _ in range(2)]
    assert (fed[0].put_off, sum(each.released for each in fed)) == (80, 5)
    assert [row.customer_id for row in await market.rows(campaign, "scheduled")] == awake
    progress = await market.shops.get_progress(DOMAIN, "sale")
    assert (progress.waiting, progress.audience) == (85, 85)
    asleep = {row.scheduled_time.isoformat() for row in await market.rows(campaign, "waiting")}
    assert asleep == {"2026-03-10T23:00:00+00:00"}  # 8:00 in Tokyo


async def test_whom_the_gate_puts_off_for_long_goes_back_to_waiting(open_market: OpenMarket) -> None:
    market = await open_market(rules=Rules(caps=parse_caps("1/1d")))
    shop = await market.shop()
    await market.customers(shop, 1)
    first, second = await market.started(shop, "first"), await market.started(shop, "second")
    await market.lanes.feed(shop.id)
    [one], [two] = await market.rows(first), await market.rows(second)
    assert await market.deliver(one.id) == "sent"
    market.clock.move(timedelta(seconds=1))
    assert await market.deliver(two.id) == "PostponeJob"
    assert (await market.lanes.feed(shop.id)).put_off == 1
    [two] = await market.rows(second)
    assert (two.status, two.held_until) == ("waiting", None)
    assert two.scheduled_time == market.clock.now() + timedelta(days=1) - timedelta(seconds=1)
    market.clock.move(timedelta(days=1))
    await market.lanes.feed(shop.id)
    assert await market.deliver(two.id) == "sent"


async def test_a_provider_that_asks_for_patience_slows_its_campaign_and_keeps_its_place(market: Market) -> None:
    def refuse(outgoing: Any) -> None:
        raise SendError("429", retryable=True, retry_after=5.0, throttled=True)

    shop = await market.shop()
    await market.customers(shop, LANE + 10)
    campaign = await market.started(shop)
    market.provider.refuse = refuse
    await market.lanes.feed(shop.id)
    market.clock.move(timedelta(seconds=1))
    for row in await market.rows(campaign, "scheduled"):
        assert await market.deliver(row.id) == "PostponeJob"
    assert (await market.lanes.feed(shop.id)).released == 0, "they are still under way"


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
