"""Campaigns as a program of a shop runs them: over HTTP with the shop's own key, and by jobs of other programs."""

from __future__ import annotations

import asyncio
from typing import Any

import bullmq
import pytest

from benchmarks.campaigns.orders import SlowProvider, measure_orders
from benchmarks.engine.report import percentile
from shops.rules.payloads import SHOP
from shops.storefront import OpenStorefront, Storefront
from tidings.clock import SystemClock
from tidings.features.shops.customers.samples import NewCustomer, add_customers
from tidings.features.shops.models import ShopMessage

VIPS = {"field": "customer.tags", "op": "contains", "value": "vip"}
SALE = {"name": "Sale", "segment": "vips", "template": "Hi {{ customer.first_name }}, {{ shop.name }} has a sale."}

MISTAKES: list[tuple[str, str, Any, int]] = [
    ("GET", "/campaigns/sale", None, 404),
    ("GET", "/segments/vips", None, 404),
    ("PUT", "/campaigns/sale", {"name": "Sale", "template": "{{ nobody }}"}, 422),
    ("PUT", "/campaigns/a b", {"name": "Sale", "template": "Hi"}, 422),
    ("PUT", "/segments/vips", {"name": "VIPs", "rules": {"field": "customer.tags", "op": "is"}}, 422),
    ("POST", "/segments/preview", {"rules": {}}, 422),
    ("GET", "/reports?first=2026-02-01&last=2026-01-01", None, 422),
    ("GET", "/campaigns?status=nothing", None, 422),
]


async def customers(store: Storefront, count: int, domain: str = SHOP) -> None:
    shop = await store.shops.accounts.get(domain)
    people = [NewCustomer(f"c{n}", f"Ada{n}", "Abara", f"+1212555{n:04}", tags=["vip"]) for n in range(count)]
    await add_customers(store.work, shop, people)


async def test_a_shop_runs_a_campaign_with_its_own_key(open_storefront: OpenStorefront) -> None:
    store = await open_storefront(clock=SystemClock())
    key = await store.shop()
    await customers(store, 30)

    async def call(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        response = await store.api(method, f"/shops/{SHOP}{path}", body, key=key)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    assert (await call("POST", "/segments/preview", {"rules": VIPS}))["matching"] == 30
    assert (await call("PUT", "/segments/vips", {"name": "VIPs", "rules": VIPS}))["version"] == 1
    assert (await call("GET", "/segments/vips/preview"))["with_number"] == 30
    assert [each["key"] for each in await call("GET", "/segments")] == ["vips"]
    assert (await call("PUT", "/campaigns/sale", SALE))["status"] == "draft"
    assert (await call("POST", "/campaigns/sale/dry-run"))["now"] == 30
    assert (await call("POST", "/campaigns/sale/test", {"to": "+12125550001"}, 201))["text"].startswith("Hi Ada1,")
    await call("DELETE", "/segments/vips", status=409)
    assert (await call("POST", "/campaigns/sale/schedule", {}))["status"] == "scheduled"
    assert (await call("POST", "/campaigns/sale/pause"))["status"] == "paused"
    await store.work_all()
    assert (await call("POST", "/campaigns/sale/resume"))["status"] == "scheduled"
    async with asyncio.timeout(20):
        while True:
            progress = await call("GET", "/campaigns/sale/progress")
            assert (
                progress["sent"] + progress["skipped"] + progress["failed"] + progress["waiting"]
                == progress["audience"]
            )
            if progress["sent"] == 30:
                break
            await asyncio.sleep(0.05)
    assert progress["tests"] == 1
    recipients = await call("GET", "/campaigns/sale/recipients?status=sent&limit=5")
    assert [each["status"] for each in recipients] == ["sent"] * 5
    assert recipients[0]["message"].startswith("shop-message-")
    await call("POST", "/campaigns/sale/schedule", {}, 409)
    assert (await call("GET", "/reports"))["days"] == []
    await call("DELETE", "/segments/vips", status=204)


async def test_mistakes_are_told_in_the_usual_form(store: Storefront) -> None:
    for method, path, body, status in MISTAKES:
        response = await store.api(method, f"/shops/{SHOP}{path}", body)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"


async def test_another_shops_key_sees_no_campaign_and_no_segment(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    await store.shop()
    stranger = await store.shop("cinder.myshopify.com")
    await store.shops.segments.save(SHOP, "vips", {"name": "VIPs", "rules": VIPS})
    for path in ("/segments/vips", "/campaigns", "/reports"):
        response = await store.api("GET", f"/shops/{SHOP}{path}", key=stranger)
        assert response.status_code in (403, 404), path
        own = await store.api("GET", f"/shops/cinder.myshopify.com{path}", key=stranger)
        assert own.status_code == (404 if path == "/segments/vips" else 200)


@pytest.mark.parametrize("shop", [SHOP, f"https://{SHOP}/", "1"])
async def test_jobs_that_another_program_adds_in_the_specifications_form_are_carried_out(
    open_storefront: OpenStorefront, shop: str
) -> None:
    store = await open_storefront(clock=SystemClock())
    await store.shop()
    await customers(store, 3)
    await store.shops.campaigns.save(SHOP, "campaign-123", {"name": "Sale", "template": "Hi"})
    row = await store.shops.campaigns.schedule(SHOP, "campaign-123")
    await store.queues.disarm("campaigns", [f"campaign-{row.id}-after-0"])
    campaigns, housekeeping = (
        bullmq.Queue(name, {"connection": store.redis, "prefix": store.prefix})
        for name in ("campaigns", "housekeeping")
    )
    await campaigns.add(
        "batch", {"campaignId": "campaign-123", "shopId": shop, "batchSize": 100, "requestId": "req_456"}, {}
    )
    await housekeeping.add("cleanup", {"task": "cleanup_old_messages", "shopId": shop, "requestId": "req_789"}, {})
    await store.work_all()
    async with asyncio.timeout(15):
        while [each.status for each in await store.all(ShopMessage)] != ["sent"] * 3:
            await asyncio.sleep(0.02)
        while (await store.queues.stats("housekeeping")).completed < 1:
            await asyncio.sleep(0.02)


async def test_the_benchmark_times_orders_with_and_without_a_campaign(
    open_storefront: OpenStorefront,
) -> None:
    provider = SlowProvider()
    store = await open_storefront(clock=SystemClock(), provider=provider)
    await store.work_all()
    said: list[str] = []
    spells = await measure_orders(
        store.work, store.shops, provider, recipients=300, rounds=1, seconds=1.0, say=said.append
    )
    assert (spells.audience, said[-1]) == (300, "round 1 of 1")
    assert 0 < spells.sent <= 300
    assert min(map(len, (spells.quiet, spells.busy))) > 1
    assert spells.ratio == percentile(spells.busy, 99) / percentile(spells.quiet, 99)
