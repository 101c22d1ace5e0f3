"""Whom a segment means: the customer's own fields, and those of their orders."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from shops.market import Market
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.shops.models import Shop, ShopCustomer, ShopOrder
from tidings.features.shops.segments.audience import PAGE

DOMAIN = "blossom.myshopify.com"
CONDITIONS: list[tuple[str, str, Any, str]] = [
    ("customer.tags", "contains", "VIP", "a"),
    ("customer.tags", "not_contains", "vip", "bc"),
    ("customer.orders_count", "at_least", 2, "ac"),
    ("customer.total_spent", ">", "99.99", "ac"),
    ("customer.total_spent", "between", [0, 50], "b"),
    ("customer.last_order_at", "within_last_days", 30, "a"),
    ("customer.last_order_at", "more_than_days_ago", 30, "c"),
    ("customer.last_order_at", "is_missing", None, "b"),
    ("customer.country", "in", ["DE", "FR"], "b"),
    ("customer.locale", "starts_with", "en", "a"),
    ("customer.sms_consent", "equals", "subscribed", "ab"),
    ("customer.created_at", "before", "2030-01-01", "abc"),
    ("orders.count", "at_least", 2, "a"),
    ("orders.total", "equals", "150.00", "a"),
    ("orders.average", "equals", 75, "a"),
    ("orders.highest", "greater_than", 90, "a"),
    ("orders.cancelled_count", "equals", 1, "c"),
    ("orders.paid_count", "equals", 1, "a"),
    ("orders.last_at", "within_last_days", 7, "a"),
    ("orders.titles", "contains", "tulips", "a"),
    ("orders.titles", "is_missing", None, "bc"),
]

MISTAKES: list[tuple[Any, str, str]] = [
    ({"field": "customer.tag", "op": "is_present"}, "rules.field", "there is no field 'customer.tag'"),
    ({"all": [{"field": "orders.total", "op": "contains", "value": "1"}]}, "rules.all.0.op", "money field"),
    ({"all": []}, "rules.all", "is empty"),
    ({"field": "order.total_price", "op": "is_present"}, "rules.field", "there is no field 'order.total_price'"),
]


async def order(market: Market, shop: Shop, customer_id: int, total: str, days_ago: int = 1, **values: Any) -> None:
    now = market.clock.now()
    async with market.work.begin() as unit:
        unit.session.add(
            ShopOrder(
                shop_id=shop.id,
                order_key=f"{customer_id}-{total}-{days_ago}",
                customer_id=customer_id,
                placed_at=now - timedelta(days=days_ago),
                total=total,
                currency="USD",
                created_at=now,
                updated_at=now,
                **{"titles": ["Peonies"], **values},
            )
        )


async def matching(market: Market, rules: Any) -> list[int]:
    preview = await market.shops.segments.preview(DOMAIN, {"rules": rules})
    assert preview.matching == len(preview.samples)
    return [sample.id for sample in preview.samples]


@pytest.mark.both_databases
async def test_a_segment_asks_for_customers_and_what_their_orders_come_to(market: Market) -> None:
    now = market.clock.now()
    shop = await market.shop()
    [a] = await market.customers(
        shop, tags=["vip", "wholesale"], orders_count=3, total_spent="100.00", locale="en-US",
        sms_consent="subscribed", last_order_at=now - timedelta(days=1),
    )  # fmt: skip
    [b] = await market.customers(shop, country="DE", sms_consent="subscribed")
    [c] = await market.customers(
        shop, orders_count=2, total_spent="250", sms_consent="unsubscribed", last_order_at=now - timedelta(days=90)
    )
    await order(market, shop, a, "100.00", titles=["Peonies", "Tulips"], paid_at=now)
    await order(market, shop, a, "50.00", days_ago=9)
    await order(market, shop, a, "70.00", days_ago=2, is_test=True)
    await order(market, shop, c, "80.00", cancelled_at=now)
    names = {a: "a", b: "b", c: "c"}
    for field, op, value, who in CONDITIONS:
        condition = {"field": field, "op": op} if value is None else {"field": field, "op": op, "value": value}
        assert "".join(names[each] for each in await matching(market, condition)) == who, condition


@pytest.mark.both_databases
async def test_a_preview_counts_everybody_over_several_pages_and_who_has_no_number(market: Market) -> None:
    shop = await market.shop()
    other = await market.shop("cinder.myshopify.com")
    await market.customers(shop, PAGE + 5, consent=None)
    await market.customers(shop, 3, consent=None, phone=None, tags=["vip"])
    await market.customers(shop, 1, redacted_at=market.clock.now())
    await market.customers(other, 2)
    everybody = await market.shops.segments.preview(DOMAIN, {})
    assert (everybody.customers, everybody.matching, everybody.with_number) == (PAGE + 8, PAGE + 8, PAGE + 5)
    assert len(everybody.samples) == 5
    vips = await market.shops.segments.preview(
        DOMAIN, {"rules": {"field": "customer.tags", "op": "contains", "value": "vip"}}
    )
    assert (vips.matching, vips.with_number) == (3, 0)


async def test_a_mistake_in_the_rules_is_told_when_they_are_saved(market: Market) -> None:
    await market.shop()
    for rules, field, sentence in MISTAKES:
        with pytest.raises(InvalidInput, match=sentence) as told:
            await market.shops.segments.save(DOMAIN, "wrong", {"name": "Wrong", "rules": rules})
        assert told.value.field == field
    with pytest.raises(NotFound):
        await market.shops.segments.get(DOMAIN, "wrong")


async def test_a_scheduled_campaign_keeps_the_rules_that_its_segment_had(market: Market) -> None:
    shop = await market.shop()
    await market.customers(shop, tags=["vip"])
    await market.customers(shop, 2)
    vips = {"name": "VIPs", "rules": {"field": "customer.tags", "op": "contains", "value": "vip"}}
    await market.shops.segments.save(DOMAIN, "vips", vips)
    campaign = await market.campaign(shop, segment="vips")
    with pytest.raises(Conflict, match=r"that of a campaign's draft \(sale\)"):
        await market.shops.segments.delete(DOMAIN, "vips")
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    changed = await market.shops.segments.save(DOMAIN, "vips", {"name": "Everybody"})
    assert (changed.version, changed.rules) == (2, None)
    await market.shops.segments.delete(DOMAIN, "vips")
    await market.expand(campaign)
    assert await market.counts(campaign) == {"waiting": 1}


async def test_a_number_that_two_customers_share_gets_a_campaign_once(market: Market) -> None:
    shop = await market.shop()
    [first] = await market.customers(shop)
    async with market.work.begin() as unit:
        known = await unit.session.get_one(ShopCustomer, first)
        unit.session.add(
            ShopCustomer(
                shop_id=shop.id,
                contractor_id=known.contractor_id,
                customer_key="guest",
                phone=known.phone,
                tags=[],
                as_of=known.as_of,
                created_at=known.created_at,
                updated_at=known.updated_at,
            )
        )
    await market.customers(shop, 2, phone=None)
    campaign = await market.started(shop)
    assert await market.counts(campaign) == {"waiting": 1}
    assert campaign.audience == 1


@pytest.mark.both_databases
async def test_an_audience_is_written_down_batch_by_batch_whoever_does_it(market: Market) -> None:
    shop = await market.shop()
    ids = await market.customers(shop, 25)
    campaign = await market.campaign(shop)
    await market.shops.campaigns.schedule(DOMAIN, "sale")
    said = await market.expand(campaign, 10)
    assert said == f"skipped: the audience of campaign {campaign.id} is complete"
    assert [row.customer_id for row in await market.rows(campaign)] == ids
    stored = await market.shops.campaigns.get(DOMAIN, "sale")
    assert (stored.audience, stored.cursor, stored.status) == (25, ids[-1], "running")
    assert isinstance(stored.expanded_at, datetime)
