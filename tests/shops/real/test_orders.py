"""Orders as shops really have them: unpaid, cancelled, deleted, from the till, and in no order at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shops.rules.payloads import SHOP, payload
from shops.storefront import NOW, Storefront
from tidings.features.shops.models import ShopOrder, ShopWebhookEvent
from tidings.messages.statuses import Reason, Status

MARA = "+18105550123"
HOUR = timedelta(hours=1)
CANCELLED = {"cancelled_at": "2026-11-20T14:45:00-05:00", "updated_at": "2026-11-20T14:45:00-05:00"}

PENDING: list[tuple[str, str, list[str]]] = [
    ("cash on delivery", "pending", ["Cash on Delivery (COD)"]),
    ("bank transfer", "pending", ["Bank Deposit"]),
    ("by hand", "pending", ["manual"]),
    ("authorised, to be captured later", "authorized", ["shopify_payments"]),
    ("a voucher of the convenience store", "pending", ["Konbini"]),
    ("to be paid by invoice", "pending", []),
    ("paid in part", "partially_paid", ["shopify_payments"]),
    ("nothing to pay", "paid", []),
]


async def test_an_order_that_is_to_be_paid_later_is_confirmed_and_its_cart_does_not_wait(store: Storefront) -> None:
    for number, (what, status, gateways) in enumerate(PENDING):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain, presets=["abandoned_checkout", "order_confirmation"])
        unpaid = {"financial_status": status, "payment_gateway_names": gateways, "gateway": None}
        await store.told("checkouts_update.opted_in", domain=domain)
        await store.told("orders_create", domain=domain, **unpaid)
        reasons = {message.purpose: message.status_reason for message in await store.shops.messages.list(domain)}
        texts = [message.text for message in await store.shops.messages.list(domain) if message.text]
        assert reasons["promotional"] == Reason.GOAL_REACHED, what
        assert len(texts) == 1, what
        assert "We have your order #1042" in texts[0], what
        await store.told("orders_paid", domain=domain)
        assert len(await store.shops.messages.list(domain)) == 2, f"{what}: paid later, and not confirmed again"


async def test_a_cart_that_is_told_of_after_its_unpaid_order_does_not_wait(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "abandoned_checkout")
    await store.told("orders_create", financial_status="pending")
    event = await store.told("checkouts_update.opted_in")
    assert event.evaluation["abandoned_checkout"]["result"] == "goal_reached"


async def test_a_cancellation_stops_what_waits_about_its_order_whichever_is_told_first(store: Storefront) -> None:
    ways: list[tuple[str, list[tuple[str, dict[str, Any]]]]] = [
        ("after it", [("orders_create", {}), ("orders_cancelled", {})]),
        ("before it", [("orders_cancelled", {}), ("orders_create", {})]),
        ("by an update", [("orders_create", {}), ("orders_updated", CANCELLED)]),
        ("by an update before it", [("orders_updated", CANCELLED), ("orders_create", {})]),
        ("deleted after it", [("orders_create", {}), ("orders_create", {"topic": "orders/delete", "body": DELETED})]),
        (
            "deleted before it",
            [("orders_create", {"topic": "orders/delete", "body": DELETED}), ("orders_create", {})],
        ),
    ]
    for number, (what, events) in enumerate(ways):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain)
        await store.automation("thanks", shop=domain, delay_seconds=3600)
        await store.automation("sorry", shop=domain, trigger="orders/cancelled", delay_seconds=3600)
        for name, changes in events:
            await store.told(name, domain=domain, **changes)
        found = [m for m in await store.shops.messages.list(domain) if "orders_cancelled" not in what]
        thanks = await store.shops.automations.get(domain, "thanks")
        mine = [m for m in found if m.automation_id == thanks.id]
        assert all(m.status_reason == Reason.ORDER_CANCELLED for m in mine), what
        assert len(mine) == (1 if events[0][0] == "orders_create" and not events[0][1] else 0), what
        others = [m.status for m in found if m.automation_id != thanks.id]
        assert others == ([Status.SCHEDULED] if any(n == "orders_cancelled" for n, _ in events) else []), what


DELETED = b'{"id": 5523456789012}'


async def test_a_cancellation_stops_the_review_and_at_the_last_moment_too(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "review_request")
    await store.told("checkouts_update.opted_in")
    await store.told("orders_create")
    await store.told("fulfillments_create", updated_at="2026-11-20T14:40:00-05:00")
    row = await store.message()
    assert row.status == Status.SCHEDULED
    async with store.work.begin() as unit:  # as if it had been told while a worker held the message
        order = await unit.session.get(ShopOrder, (await store.all(ShopOrder))[0].id)
        assert order is not None
        order.cancelled_at = NOW
    store.clock.move(timedelta(days=7))
    assert "order was cancelled" in await store.deliver(row.id)
    assert (await store.message()).status_reason == Reason.ORDER_CANCELLED
    assert store.texts == []


async def test_an_update_that_is_told_before_the_order_counts_it_once_and_confirms_it_once(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "order_confirmation")
    person = {key: value for key, value in payload("orders_create")["customer"].items() if key in ("id", "phone")}
    await store.told("orders_updated", customer=person, updated_at="2026-11-20T14:40:00-05:00", name="#1042-B")
    await store.told("orders_create", customer=person)
    await store.told("orders_create", customer=person)
    customer = await store.customer()
    assert (customer.orders_count, customer.total_spent) == (1, "64.89")
    assert len(store.texts) == 1
    [order] = await store.all(ShopOrder)
    assert order.name == "#1042-B", "an older payload does not overwrite a newer one"


async def test_a_parcel_that_is_told_of_before_its_order_does_not_hide_it(store: Storefront) -> None:
    person = {key: value for key, value in payload("orders_create")["customer"].items() if key in ("id", "phone")}
    await store.told("fulfillments_create")
    await store.told("orders_create", customer=person)
    rows = {row.customer_key: row for row in await store.all(type(await store.customer()))}
    assert [row.orders_count for row in rows.values()] == [1]


async def test_an_older_payload_never_overwrites_a_newer_one_whatever_its_topic(store: Storefront) -> None:
    await store.told("orders_updated", total_price="30.00", updated_at="2026-11-20T14:50:00-05:00")
    await store.told("orders_paid", total_price="64.89", updated_at="2026-11-20T14:33:41-05:00")
    [order] = await store.all(ShopOrder)
    assert (order.total, order.paid_at is not None) == ("30.00", True)


async def test_when_a_payload_has_no_time_that_of_its_webhook_counts(store: Storefront) -> None:
    changes = {"created_at": None, "updated_at": None}
    newer = {"X-Shopify-Triggered-At": "2026-11-20T19:50:00.123456789Z"}
    older = {"X-Shopify-Triggered-At": "2026-11-20T19:40:00.123456789Z"}
    await store.told("orders_create", **changes, name="newer", headers=newer)
    await store.told("orders_create", **changes, name="older", headers=older)
    unreadable = {"X-Shopify-Triggered-At": "yesterday"}
    at = "2026-11-20T14:45:00-05:00"
    await store.told("orders_updated", created_at=None, updated_at=at, name="older", headers=unreadable)
    [order] = await store.all(ShopOrder)
    assert order.name == "newer"


CONFIRMED: list[tuple[str, dict[str, Any], bool]] = [
    ("from the web", {"source_name": "web"}, True),
    ("a draft order", {"source_name": "shopify_draft_order", "checkout_token": None}, True),
    ("by another app", {"source_name": "580111"}, True),
    ("an exchange, with nothing to pay", {"source_name": "web", "total_price": "0.00", "tags": "exchange"}, True),
    ("without a source", {"source_name": None}, True),
    ("from the till", {"source_name": "pos"}, False),
    ("a test", {"test": True}, False),
    ("cancelled as it was placed", {"cancelled_at": "2026-11-20T14:31:07-05:00"}, False),
    ("brought over from another shop system", {"processed_at": "2019-05-01T10:00:00-05:00"}, False),
    ("brought over with its own date", {"created_at": "2019-05-01T10:00:00-05:00", "processed_at": None}, False),
    ("told a day late, when we were away", {"created_at": "2026-11-19T16:00:00-05:00", "processed_at": None}, True),
]


async def test_which_orders_are_confirmed(store: Storefront) -> None:
    for number, (what, changes, is_confirmed) in enumerate(CONFIRMED):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain, presets=["order_confirmation"])
        event = await store.told("orders_create", domain=domain, **changes)
        assert bool(await store.shops.messages.list(domain)) is is_confirmed, (what, event.evaluation)


async def test_an_order_is_the_same_under_every_form_of_its_id(store: Storefront) -> None:
    gid = "gid://shopify/Order/5523456789012"
    ids: list[dict[str, Any]] = [{"id": None, "admin_graphql_api_id": gid}, {"id": gid}, {"id": 5523456789012.0}]
    for number, form in enumerate(ids):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain, presets=["order_confirmation"])
        await store.told("orders_create", domain=domain, **form)
        await store.told("orders_create", domain=domain)
        assert len(await store.shops.messages.list(domain)) == 1, form
    assert [row.order_key for row in await store.all(ShopOrder)] == ["5523456789012"] * len(ids)


async def test_an_order_without_a_name_is_confirmed_without_a_gap(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "order_confirmation")
    await store.told("orders_create", name=None)
    assert [text for _, text in store.texts] == ["Blossom Soaps: thank you, Mara! We have your order for $64.89."]


async def test_a_checkout_that_is_deleted_calls_its_reminder_off(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "abandoned_checkout")
    await store.told("checkouts_update.opted_in")
    assert (await store.message()).status == Status.SCHEDULED
    await store.told("checkouts_update", topic="checkouts/delete", body=b'{"id": 36120987654321}')
    assert (await store.message()).status == Status.CANCELLED


async def test_a_cancelled_order_lowers_what_its_customer_has_spent(store: Storefront) -> None:
    person = {key: value for key, value in payload("orders_create")["customer"].items() if key in ("id", "phone")}
    await store.told("orders_create", customer=person)
    await store.told("orders_create", id=88, total_price="10.11", customer=person)
    await store.told("orders_cancelled", customer=person)
    assert (await store.customer()).total_spent == "10.11"
    await store.told("orders_cancelled", customer=person)
    assert (await store.customer()).total_spent == "10.11", "told twice, and taken off once"


@pytest.mark.both_databases
async def test_an_order_and_its_end_told_at_the_same_moment_confirm_nothing_that_stays(store: Storefront) -> None:
    await store.automation("thanks", delay_seconds=3600)
    events = [("orders_create", {}), ("orders_cancelled", {}), ("orders_updated", CANCELLED), ("orders_paid", {})]
    answers = await asyncio.gather(*(store.tell(name, **changes) for name, changes in events for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    await store.settled()
    assert [row.error for row in await store.all(ShopWebhookEvent)] == [None] * 12
    assert {row.status_reason for row in await store.messages()} <= {Reason.ORDER_CANCELLED}
    [order] = await store.all(ShopOrder)
    assert order.counted == "0"
