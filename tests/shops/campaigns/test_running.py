"""A campaign from its draft to its last recipient."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from shops.market import Market, OpenMarket, assert_adds_up
from shops.provider import Provider
from support.app import run_job
from tidings.clock import SystemClock
from tidings.errors import Conflict, InvalidInput, NotFound, SendError
from tidings.features.shops.campaigns.demand import MOST_UNDER_WAY
from tidings.features.shops.campaigns.jobs import UPKEEP, UpkeepData
from tidings.providers.base import Outgoing

DOMAIN = "blossom.myshopify.com"
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"template": "Hi {{ customer.nickname }}"}, "save", "template: the template uses 'customer.nickname'"),
    ({"template": "Hi {{ customer.first_name"}, "save", "template: the template has a mistake"),
    ({"segment": "nobody"}, "save", "there is no segment nobody"),
    ({"rate_per_minute": 0}, "save", "rate_per_minute: "),
    ({"if_blocked": "send"}, "save", "if_blocked: "),
    ({"send_at": "2026-03-11T10:00"}, "schedule", "send_at: is after the campaign's not_after"),
    ({"local_time": True}, "schedule", "local_time needs send_at"),
    ({"send_at": "tomorrow"}, "schedule", "send_at: "),
]


@pytest.mark.both_databases
async def test_a_campaign_reaches_everybody_once_and_says_what_it_cost(open_market: OpenMarket) -> None:
    market = await open_market(clock=SystemClock())
    shop = await market.shop()
    await market.customers(shop, 130)
    await market.campaign(shop)
    await market.work_all()
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    async with asyncio.timeout(20):
        progress = await market.until_over(DOMAIN)
    assert (progress["sent"], progress["audience"], progress["segments"]) == (130, 130, 130)
    assert progress["cost"] == "1.0270"
    assert len(market.provider.taken) == len(set(market.provider.recipients)) == 130
    assert market.provider.most_at_once <= MOST_UNDER_WAY


async def test_a_recipient_who_may_have_got_the_message_is_counted_apart_and_the_campaign_ends(
    open_market: OpenMarket,
) -> None:
    market = await open_market(clock=SystemClock())
    shop = await market.shop()
    await market.customers(shop, 5)
    await market.campaign(shop)
    await market.work_all()
    refused: list[str] = []

    def refuse(outgoing: Outgoing) -> None:
        if not refused:
            refused.append(outgoing.to)
            raise SendError("no answer came", retryable=True, unknown=True)

    market.provider.refuse = refuse
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    async with asyncio.timeout(20):
        progress = await market.until_over(DOMAIN)
    assert (progress["sent"], progress["unknown"], progress["failed"]) == (4, 1, 0)
    assert refused[0] not in market.provider.recipients


async def test_a_pause_holds_within_a_second_and_resuming_goes_on_where_it_was(open_market: OpenMarket) -> None:
    market = await open_market(clock=SystemClock(), provider=Provider(latency=0.05))
    shop = await market.shop()
    await market.customers(shop, 200)
    campaign = await market.campaign(shop)
    await market.work_all()
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    async with asyncio.timeout(30):
        while len(market.provider.taken) < 40:
            await asyncio.sleep(0.01)
        await market.shops.campaigns.pause(DOMAIN, "sale")
        while market.provider.at_once or (await market.counts(campaign)).get("sending"):
            await asyncio.sleep(0.01)
        held = len(market.provider.taken)
        assert held < 200
        counts = await market.counts(campaign)
        assert counts == {"sent": held, "waiting": 200 - held}
        for _ in range(3):
            await market.look()
        assert await market.counts(campaign) == counts
        await market.shops.campaigns.resume(DOMAIN, "sale")
        progress = await market.until_over(DOMAIN)
    assert (progress["sent"], len(market.provider.taken)) == (200, 200)


async def test_a_pause_also_holds_for_recipients_who_are_not_written_down_yet(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 30)
    campaign = await market.campaign(shop)
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    await market.batch(campaign, 10)
    await market.shops.campaigns.pause(DOMAIN, "sale")
    assert await market.expand(campaign) == f"skipped: campaign {campaign.id} is paused"
    assert await market.counts(campaign) == {"waiting": 10}
    await market.shops.campaigns.resume(DOMAIN, "sale")
    await market.expand(campaign, 10)
    assert await market.counts(campaign) == {"waiting": 30}


async def test_a_message_that_comes_back_for_another_attempt_during_a_pause_waits_for_its_end(
    market: Market,
) -> None:
    shop = await market.shop()
    await market.customers(shop, 1)
    campaign = await market.started(shop)
    await market.release(shop)
    [row] = await market.rows(campaign, "scheduled")
    await market.set(
        campaign, status="paused"
    )  # the row of an attempt that fails just after the pause took the others
    assert await market.deliver(row.id) == "skipped: waiting"
    [held] = await market.rows(campaign)
    assert (held.status, held.attempts, held.held_until) == ("waiting", 0, None)
    assert market.provider.taken == {}
    await market.shops.campaigns.resume(DOMAIN, "sale")
    await market.release(shop)
    market.clock.move(timedelta(seconds=1))
    assert await market.deliver(row.id) == "sent"


@pytest.mark.both_databases
async def test_released_recipients_of_a_paused_campaign_are_found_by_the_next_look(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 3)
    campaign = await market.started(shop)
    await market.release(shop)
    await market.set(campaign, status="paused")
    await market.look()
    assert await market.counts(campaign) == {"waiting": 3}


@pytest.mark.both_databases
async def test_a_cancelled_campaign_reaches_nobody_else_and_still_adds_up(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 60)
    campaign = await market.started(shop)
    await market.release(shop)
    released = await market.rows(campaign, "scheduled")
    assert await market.deliver(released[0].id) == "sent"
    done = await market.shops.campaigns.cancel(DOMAIN, "sale")
    assert (done.status, done.finished_at) == ("cancelled", market.clock.now())
    assert await market.deliver(released[1].id) == "skipped: cancelled"
    progress = (await market.shops.campaigns.progress(DOMAIN, "sale")).model_dump()
    assert (progress["sent"], progress["skipped"], progress["waiting"]) == (1, 59, 0)
    assert progress["reasons"] == {"campaign_cancelled": 59}
    assert_adds_up(progress)
    await market.shops.campaigns.cancel(DOMAIN, "sale")  # again is harmless
    with pytest.raises(Conflict, match="is over \\(cancelled\\) and cannot be resumed"):
        await market.shops.campaigns.resume(DOMAIN, "sale")


async def test_a_message_that_is_on_its_way_when_its_campaign_is_cancelled_is_skipped_at_its_next_attempt(
    market: Market,
) -> None:
    shop = await market.shop()
    await market.customers(shop, 1)
    campaign = await market.started(shop)
    await market.release(shop)
    [row] = await market.rows(campaign)
    await market.set(campaign, status="cancelled")
    assert await market.deliver(row.id) == "skipped: its campaign was cancelled"
    assert (await market.shops.campaigns.progress(DOMAIN, "sale")).reasons == {"campaign_cancelled": 1}


@pytest.mark.both_databases
async def test_the_end_of_a_cancelled_campaign_is_completed_by_the_next_look_after_a_crash(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 5)
    campaign = await market.started(shop)
    await market.set(campaign, status="cancelled")
    await market.look()
    assert await market.counts(campaign) == {"cancelled": 5}
    assert (await market.shops.campaigns.get(DOMAIN, "sale")).finished_at is not None


async def test_a_shop_that_uninstalls_the_app_ends_its_campaigns(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 5)
    campaign = await market.started(shop)
    await market.set(shop, uninstalled_at=market.clock.now())
    assert (await market.release(shop))["released"] == 0
    await market.look()
    assert await market.counts(campaign) == {"cancelled": 5}
    assert (await market.shops.campaigns.get(DOMAIN, "sale")).status == "cancelled"


async def test_a_campaign_is_finished_when_its_last_recipient_has_an_end(market: Market) -> None:
    def refuse(outgoing: Outgoing) -> None:
        raise SendError("no such number", retryable=False)

    shop = await market.shop()
    await market.customers(shop, 1)
    await market.customers(shop, 1, consent=None)
    campaign = await market.started(shop)
    market.provider.refuse = refuse
    await market.release(shop)
    said = [await market.deliver(row.id) for row in await market.rows(campaign)]
    assert said == ["GiveUpJob", "skipped: the recipient has not consented to such messages"]
    await market.release(shop)
    progress = (await market.shops.campaigns.progress(DOMAIN, "sale")).model_dump()
    assert (progress["status"], progress["failed"], progress["skipped"]) == ("finished", 1, 1)
    assert progress["reasons"] == {"no_consent": 1}
    assert_adds_up(progress)


@pytest.mark.both_databases
async def test_a_campaign_whose_jobs_are_lost_goes_on_with_the_next_look(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 5)
    campaign = await market.campaign(shop)
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    await market.app.queues.disarm("campaigns", [f"campaign-{campaign.id}-after-0"])
    assert (await market.look())["batches"] == 1
    assert (await market.app.queues.stats("campaigns")).waiting >= 1
    assert (await market.look())["batches"] == 0, "it is there again"


async def test_a_campaign_whose_jobs_are_lost_is_found_by_the_workers_themselves(open_market: OpenMarket) -> None:
    market = await open_market(clock=SystemClock())
    shop = await market.shop()
    await market.customers(shop, 5)
    campaign = await market.campaign(shop)
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    await market.app.queues.disarm("campaigns", [f"campaign-{campaign.id}-after-0"])
    await market.work_all()
    async with asyncio.timeout(20):
        progress = await market.until_over(DOMAIN)
    assert (progress["sent"], progress["audience"]) == (5, 5)


async def test_a_campaign_goes_on_to_its_end_although_everything_that_follows_from_endings_is_lost(
    open_market: OpenMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: Any) -> Any:
        raise RuntimeError("deadlock detected")

    market = await open_market(clock=SystemClock())
    monkeypatch.setattr(market.app.kinds["shop-message"], "on_ended", lose)
    shop = await market.shop()
    await market.customers(shop, MOST_UNDER_WAY + 5)
    await market.campaign(shop)
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    await market.work_all()
    async with asyncio.timeout(30):
        progress = await market.until_over(DOMAIN)
    assert (progress["sent"], progress["audience"]) == (MOST_UNDER_WAY + 5, MOST_UNDER_WAY + 5)


async def test_every_mistake_is_found_before_anything_goes_out(market: Market) -> None:
    shop = await market.shop()
    await market.campaign(shop, not_after="2026-03-10T20:00")
    for change, verb, sentence in MISTAKES:
        schedule = market.shops.campaigns.schedule
        trying = market.campaign(shop, **change) if verb == "save" else schedule(DOMAIN, "sale", change)
        with pytest.raises((InvalidInput, NotFound), match=sentence):
            await trying
    assert (await market.shops.campaigns.get(DOMAIN, "sale")).status == "draft"


async def test_a_campaign_that_has_begun_can_neither_be_changed_nor_moved(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 1)
    await market.started(shop)
    with pytest.raises(Conflict, match="and cannot be changed; save it under another key"):
        await market.campaign(shop)
    with pytest.raises(Conflict, match="has begun; pause or cancel it"):
        await market.shops.campaigns.schedule(DOMAIN, "sale")


async def test_a_scheduled_campaign_waits_for_its_moment_and_may_be_moved(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, 1)
    campaign = await market.campaign(shop)
    row = await market.shops.campaigns.schedule(DOMAIN, "sale", {"send_at": "2026-03-10T18:00"})
    assert row.send_at == datetime.fromisoformat("2026-03-10T22:00+00:00"), "a naive time is the shop's own"
    assert await market.expand(campaign) == f"skipped: campaign {campaign.id} is not due yet"
    await market.shops.campaigns.pause(DOMAIN, "sale")
    await market.shops.campaigns.resume(DOMAIN, "sale")
    await market.shops.campaigns.schedule(DOMAIN, "sale", {"send_at": "2026-03-10T15:00:00Z"})
    await market.expand(campaign)
    assert await market.counts(campaign) == {"waiting": 1}


async def test_a_campaign_of_local_time_leaves_at_that_hour_where_each_recipient_is(market: Market) -> None:
    shop = await market.shop()
    for zone in ("Europe/Berlin", "America/Los_Angeles"):
        await market.customers(shop, 1, timezone=zone)
    await market.customers(shop, 1, prefix="+1303555")  # Denver, by its number
    campaign = await market.campaign(shop)
    market.clock.move(timedelta(days=-1))
    await market.shops.campaigns.schedule(DOMAIN, "sale", {"send_at": "2026-03-10T18:00", "local_time": True})
    market.clock.move(timedelta(days=1))
    await market.expand(campaign)
    at = [row.scheduled_time.isoformat() for row in await market.rows(campaign)]
    assert at == ["2026-03-10T17:00:00+00:00", "2026-03-11T01:00:00+00:00", "2026-03-11T00:00:00+00:00"]
    assert (await market.release(shop))["released"] == 0
    market.clock.move(timedelta(hours=1))
    assert (await market.release(shop))["released"] == 1


async def test_the_job_that_looks_at_everything_takes_what_a_program_adds_without_data(market: Market) -> None:
    assert await run_job(market.app, UPKEEP, UpkeepData.model_validate({"requestId": "req_1"})) == {
        "released": 0,
        "batches": 0,
        "ended": 0,
    }
