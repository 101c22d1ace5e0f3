"""Before a campaign goes out: what a dry run says, and a test message."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from shops.market import Market, OpenMarket
from tidings.errors import InvalidInput, NotFound
from tidings.features.shops.models import ShopMessage
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import OptOut, OptOutRequest, add_opt_out
from tidings.messages.gate.standing import Admission
from tidings.messages.ledger import LedgerEntry

DOMAIN = "blossom.myshopify.com"
RULES = {"quiet_hours": "21:00-08:00", "frequency_caps": "1/1d"}

NOBODY: list[tuple[dict[str, object], str]] = [
    ({}, "name either a number"),
    ({"to": "+12125550100", "customer_id": 1}, "name either a number"),
    ({"to": "12"}, "phone: "),
    ({"customer_id": 99}, "there is no customer 99"),
]


async def opt_out(market: Market, phone: str) -> None:
    async with market.work.begin() as unit:
        await add_opt_out(unit.session, OptOutRequest(phone, "api", "reply"), market.clock.now())


async def phone_of(market: Market, customer_id: int) -> str:
    shop = await market.shops.segments.preview(DOMAIN, {})
    return next(sample.phone for sample in shop.samples if sample.id == customer_id) or ""


async def stored(market: Market) -> list[int]:
    """How many rows the tables have that a message would leave a trace in."""
    async with market.work.read() as session:
        return [
            await session.scalar(select(func.count()).select_from(table)) or 0
            for table in (ShopMessage, LedgerEntry, Admission, Consent, OptOut)
        ]


async def test_a_dry_run_says_what_then_happens_and_writes_nothing(open_market: OpenMarket) -> None:
    market = await open_market(**RULES)
    shop = await market.shop()
    [stopped] = await market.customers(shop)
    await market.customers(shop, 3, timezone="America/New_York")
    await market.customers(shop, 2, timezone="Asia/Tokyo")
    await market.customers(shop, 4, consent=None)
    await market.customers(shop, 1, consent=False)
    await market.customers(shop, 1, phone=None)
    await opt_out(market, await phone_of(market, stopped))
    campaign = await market.campaign(shop)
    before = await stored(market)
    expected = await market.shops.campaigns.dry_run(DOMAIN, "sale")
    assert await stored(market) == before
    assert (expected.audience, expected.now, expected.deferred, expected.skipped, expected.failed) == (11, 3, 2, 6, 0)
    assert expected.skipped_because == {"opted_out": 1, "no_consent": 4, "consent_revoked": 1}
    assert [(each.until.isoformat(), each.reason, each.recipients) for each in expected.deferred_until] == [
        ("2026-03-10T23:00:00+00:00", "quiet_hours", 2)
    ]
    assert expected.without_number == 1
    assert (expected.cost.total, expected.cost.currency, expected.cost.segments) == ("0.0395", "USD", 5)
    assert expected.samples[0].text.startswith("Hi Ada0, Blossom has a sale")

    await market.shops.campaigns.schedule(DOMAIN, "sale")
    await market.expand(campaign)
    await market.release(shop)
    market.clock.move(timedelta(seconds=1))
    for row in await market.rows(campaign, "scheduled"):
        await market.deliver(row.id)
    progress = await market.shops.campaigns.progress(DOMAIN, "sale")
    assert (progress.sent, progress.waiting, progress.skipped) == (expected.now, expected.deferred, expected.skipped)
    assert progress.reasons == expected.skipped_because


async def test_a_dry_run_knows_the_caps_the_segment_and_the_moment_of_each_recipient(open_market: OpenMarket) -> None:
    market = await open_market(**RULES)
    shop = await market.shop()
    await market.customers(shop, 1, tags=["vip"], timezone="America/New_York")
    await market.customers(shop, 1, timezone="America/New_York")
    first = await market.started(shop, "first")
    await market.release(shop)
    for row in await market.rows(first):
        await market.deliver(row.id)
    await market.shops.segments.save(
        DOMAIN, "vips", {"name": "VIPs", "rules": {"field": "customer.tags", "op": "contains", "value": "vip"}}
    )
    await market.campaign(shop, "second", segment="vips")
    deferred = (await market.shops.campaigns.dry_run(DOMAIN, "second")).deferred_until
    assert [(each.reason, each.recipients) for each in deferred] == [("frequency_cap", 1)]
    later = await market.shops.campaigns.dry_run(DOMAIN, "second", {"at": "2026-03-12T12:00"})
    assert (later.now, later.at) == (1, datetime.fromisoformat("2026-03-12T16:00+00:00"))
    dropping = await market.campaign(shop, "third", if_blocked="drop")
    assert (await market.shops.campaigns.dry_run(DOMAIN, dropping.key)).skipped_because == {"frequency_cap": 2}


async def test_a_test_message_takes_the_real_way_and_counts_apart(market: Market) -> None:
    shop = await market.shop()
    [customer] = await market.customers(shop, first_name="Zoë")
    campaign = await market.campaign(shop)
    tried = await market.shops.campaigns.send_test(DOMAIN, "sale", {"customer_id": customer})
    assert (tried.text, tried.segments, tried.decision) == ("Hi Zoë, Blossom has a sale. STOP to end", 1, "send")
    assert tried.price == "0.0079"
    assert "UCS-2" not in tried.advice
    assert await market.deliver(int(tried.message.rpartition("-")[2])) == "sent"
    assert [outgoing.text for outgoing in market.provider.taken.values()] == [tried.text]
    again = await market.shops.campaigns.send_test(DOMAIN, "sale", {"to": await phone_of(market, customer)})
    assert again.message != tried.message
    progress = await market.shops.campaigns.progress(DOMAIN, "sale")
    assert (progress.tests, progress.audience, progress.sent) == (2, 0, 0)
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    await market.expand(campaign)
    assert await market.counts(campaign) == {"waiting": 1}, "who had a test message gets the campaign as well"


async def test_the_gate_has_the_last_word_about_test_messages_too(market: Market) -> None:
    shop = await market.shop()
    [customer] = await market.customers(shop)
    await market.campaign(shop)
    stranger = await market.shops.campaigns.send_test(DOMAIN, "sale", {"to": "(212) 555-9999"})
    assert (stranger.decision, stranger.reason) == ("skip", "no_consent")
    assert stranger.text == "Hi , Blossom has a sale. STOP to end"
    assert await market.deliver(int(stranger.message.rpartition("-")[2])) == (
        "skipped: the recipient has not consented to such messages"
    )
    await opt_out(market, await phone_of(market, customer))
    stopped = await market.shops.campaigns.send_test(DOMAIN, "sale", {"customer_id": customer})
    assert (stopped.decision, stopped.reason) == ("skip", "opted_out")
    assert market.provider.taken == {}


async def test_a_test_message_needs_somebody_to_go_to(market: Market) -> None:
    await market.campaign(await market.shop())
    for to, sentence in NOBODY:
        with pytest.raises((InvalidInput, NotFound), match=sentence):
            await market.shops.campaigns.send_test(DOMAIN, "sale", to)
