"""Refunds: what was returned is asked about no more, totals go down, and the text knows its order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shops.rules.payloads import SHOP, payload
from shops.storefront import Storefront
from tidings.features.shops.models import ShopCustomer, ShopOrder
from tidings.messages.statuses import Reason, Status

MARA = "+18105550123"
SOAP, TOWEL = 14801234567801, 14801234567802
AFTER = "2026-11-20T14:59:00-05:00"


def line(
    line_id: int, quantity: int, title: str, *, ordered: int | None = None, shop: str = "0.00"
) -> dict[str, Any]:
    """One line of a refund."""
    return {
        "line_item_id": line_id,
        "quantity": quantity,
        "restock_type": "return",
        "subtotal_set": {
            "shop_money": {"amount": shop, "currency_code": "USD"},
            "presentment_money": {"amount": str(float(shop) * 0.9), "currency_code": "EUR"},
        },
        "line_item": {"id": line_id, "title": title, "quantity": ordered or quantity},
    }


def refund(amount: str | None, *lines: dict[str, Any], currency: str = "USD", refund_id: int = 1) -> dict[str, Any]:
    paid = {"amount": amount, "currency": currency, "kind": "refund", "status": "success"}
    return {
        "id": refund_id,
        "created_at": AFTER,
        "processed_at": AFTER,
        "transactions": [paid] if amount else [],
        "refund_line_items": list(lines),
        "order_adjustments": [],
    }


def loud(refund: dict[str, Any]) -> dict[str, Any]:
    """The same with Shopify's words in capitals."""
    for one in refund["transactions"]:
        one |= {"kind": one["kind"].upper(), "status": one["status"].upper()}
    return refund


ALL = (line(SOAP, 2, "Rose soap, hand cut"), line(TOWEL, 1, "Linen towel"))

REVIEWS: list[tuple[str, list[dict[str, Any]], str | None]] = [
    ("all of it", [refund("64.89", *ALL)], None),
    ("all of it, in two refunds", [refund("30.00", ALL[0]), refund("34.89", ALL[1], refund_id=2)], None),
    ("all the money, and no line named", [refund("64.89")], None),
    ("every line, unpaid as with cash on delivery", [refund(None, *ALL)], None),
    ("the soap, which the text would name", [refund("30.00", ALL[0])], "Linen towel"),
    ("the towel", [refund("34.90", ALL[1])], "Rose soap, hand cut"),
    ("one of two soaps", [refund("12.50", line(SOAP, 1, "Rose soap", ordered=2))], "Rose soap, hand cut"),
    (
        "both soaps, one after the other",
        [refund("12.50", line(SOAP, 1, "Rose soap", ordered=2)),
         refund("12.50", line(SOAP, 1, "Rose soap", ordered=2), refund_id=2)],
        "Linen towel",
    ),
    ("some money for the delay", [refund("5.00")], "Rose soap, hand cut"),
    ("the same refund told twice", [refund("32.45"), refund("32.45")], "Rose soap, hand cut"),
    ("money that did not go through", [refund("64.89") | {"transactions": [
        {"amount": "64.89", "currency": "USD", "kind": "refund", "status": "failure"}]}], "Rose soap, hand cut"),
]  # fmt: skip


async def test_nobody_is_asked_for_a_review_of_what_they_sent_back(store: Storefront) -> None:
    wrong = []
    for number, (what, refunds, item) in enumerate(REVIEWS):
        for order in ("afterwards", "before"):
            domain = f"shop-{number}-{order}.myshopify.com"
            await store.shop(domain, presets=["review_request"])
            await store.told("checkouts_update.opted_in", domain=domain)
            await store.told("orders_create", domain=domain)
            if order == "afterwards":
                await store.told("fulfillments_create", domain=domain, updated_at="2026-11-20T14:50:00-05:00")
            for one in refunds:
                assert (await store.told("refunds_create", domain=domain, **one)).error is None
            if order == "before":
                await store.told("fulfillments_create", domain=domain, updated_at="2026-11-20T14:50:00-05:00")
            if item is None and order == "afterwards":
                [called_off] = await store.shops.messages.list(domain)
                assert called_off.status_reason == Reason.RETURNED, what
    store.clock.move(timedelta(days=7))
    for number, (what, _, item) in enumerate(REVIEWS):
        for order in ("afterwards", "before"):
            found = await store.shops.messages.list(f"shop-{number}-{order}.myshopify.com", status=Status.SCHEDULED)
            for message in found:
                await store.deliver(message.id)
            sent = await store.shops.messages.list(f"shop-{number}-{order}.myshopify.com", status=Status.SENT)
            texts = [message.text for message in sent]
            asked = f"Blossom Soaps: how do you like {item}? Reply"
            if [(text or "")[: len(asked)] for text in texts] != ([asked] if item else []):
                wrong.append((what, order, texts))
    assert wrong == []


TOTALS: list[tuple[str, list[dict[str, Any]], str]] = [
    ("a part", [refund("34.90", ALL[1])], "29.99"),
    ("all", [refund("64.89")], "0.00"),
    ("the same one told twice", [refund("34.90"), refund("34.90")], "29.99"),
    ("two refunds", [refund("34.90"), refund("10.00", refund_id=2)], "19.99"),
    ("more than was paid", [refund("70.00")], "0"),
    (
        "in the buyer's currency: the lines tell the rate",
        [refund("31.41", line(TOWEL, 1, "Linen towel", shop="34.90"), currency="EUR")],
        "29.99",
    ),
    ("in capitals, as GraphQL has them", [loud(refund("34.90", ALL[1]))], "29.99"),
    (
        "an id of GraphQL's alone",
        [
            {**refund("34.90", ALL[1]), "id": None, "admin_graphql_api_id": "gid://shopify/Refund/1"},
            refund("34.90", ALL[1]),
        ],
        "29.99",
    ),
    ("in another currency whose rate nobody tells", [refund("31.41", currency="EUR")], "64.89"),
]


async def test_a_refund_lowers_what_its_order_and_its_customer_come_to(store: Storefront) -> None:
    person = {key: value for key, value in payload("orders_create")["customer"].items() if key in ("id", "phone")}
    for number, (what, refunds, left) in enumerate(TOTALS):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain)
        await store.told("orders_create", domain=domain, customer=person)
        for one in refunds:
            event = await store.told("refunds_create", domain=domain, **one)
        [customer] = await store.shops.customers.list(domain)
        assert float(customer.total_spent) == float(left), what
        rules = {"field": "orders.total", "op": "at_least", "value": left}
        assert (await counted(store, domain, rules)) == 1, what
        more = {"field": "orders.total", "op": "at_least", "value": str(float(left) + 0.01)}
        assert (await counted(store, domain, more)) == 0, what
        if "nobody tells" in what:
            assert any("EUR" in sentence for sentence in event.missing)


async def counted(store: Storefront, domain: str, rules: dict[str, Any]) -> int:
    """How many customers a segment has."""
    segment = await store.shops.segments.preview(domain, {"rules": rules})
    return int(segment.matching)


async def test_refunds_that_only_an_orders_update_tells_count_once(store: Storefront) -> None:
    person = {key: value for key, value in payload("orders_create")["customer"].items() if key in ("id", "phone")}
    await store.told("orders_create", customer=person)
    later = {"customer": person, "updated_at": AFTER, "refunds": [refund("34.90", ALL[1])]}
    await store.told("orders_updated", **later)
    await store.told("refunds_create", **refund("34.90", ALL[1]))
    assert (await store.customer()).total_spent == "29.99"


async def test_a_refund_that_is_told_before_its_order_counts_when_the_order_comes(store: Storefront) -> None:
    person = {key: value for key, value in payload("orders_create")["customer"].items() if key in ("id", "phone")}
    await store.told("refunds_create", **refund("34.90", ALL[1]))
    await store.told("orders_create", customer=person)
    assert (await store.customer()).total_spent == "29.99"
    assert len(await store.all(ShopOrder)) == len(await store.all(ShopCustomer)) == 1


async def test_a_total_that_the_shop_tells_goes_down_with_a_refund(store: Storefront) -> None:
    await store.told("orders_paid")
    assert (await store.customer()).total_spent == "386.40"
    await store.told("refunds_create")
    assert (await store.customer()).total_spent == "351.50"


@pytest.mark.both_databases
async def test_refunds_told_at_the_same_moment_each_lower_the_totals_once(store: Storefront) -> None:
    person = {key: value for key, value in payload("orders_create")["customer"].items() if key in ("id", "phone")}
    await store.told("orders_create", customer=person)
    many = [refund("10.00", refund_id=number) for number in (1, 2, 3, 1, 2, 3)]
    await asyncio.gather(*(store.tell("refunds_create", **one) for one in many))
    await store.settled()
    assert (await store.customer()).total_spent == "34.89"


async def test_the_text_of_a_refund_knows_its_order(store: Storefront) -> None:
    text = (
        "{{ customer.first_name }}: {{ refund.amount | money: refund.currency }} of "
        "{{ order.total_price | money: order.currency }} for {{ order.name }}: {{ refund.titles | join: ', ' }}"
    )
    await store.automation("refunded", trigger="refunds/create", template=text)
    await store.told("orders_create")
    await store.told("refunds_create")
    assert store.texts == [(MARA, "Mara: $34.90 of $64.89 for #1042: Linen towel")]


async def test_a_refund_without_its_order_says_so(store: Storefront) -> None:
    await store.automation("refunded", trigger="refunds/create")
    event = await store.told("refunds_create")
    assert event.evaluation["refunded"]["result"] == "no_phone"
    assert "no order: the shop has not told of order 5523456789012" in event.missing


async def test_the_ready_text_of_a_refund_names_amount_and_order(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "refund_notice")
    await store.told("orders_create")
    await store.told("refunds_create")
    await store.told("refunds_create")
    await store.told("refunds_create.store_credit", id=2)
    assert store.texts == [(MARA, "Blossom Soaps: we have refunded $34.90 for your order #1042.")]


async def test_what_waits_about_a_returned_order_is_seen_at_the_last_moment_too(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "review_request")
    await store.told("checkouts_update.opted_in")
    await store.told("orders_create")
    await store.told("fulfillments_create", updated_at="2026-11-20T14:50:00-05:00")
    await store.told("refunds_create", **refund("64.89", *ALL))
    store.clock.move(timedelta(days=7))
    assert store.texts == []
    assert (await store.message()).status == Status.CANCELLED
