"""Payloads as they come from real shops and from apps beside them: none of them ends in an error."""

from __future__ import annotations

import copy
from typing import Any

from shops.rules.payloads import payload
from shops.storefront import Storefront
from tidings.features.shops.models import ShopWebhookEvent

WITHOUT_ANYBODY = dict.fromkeys(
    ("customer", "email", "contact_email", "phone", "billing_address", "shipping_address")
)

ODD: list[tuple[str, str, dict[str, Any]]] = [
    ("no customer", "orders_create", {"customer": None}),
    ("nobody at all", "orders_create", WITHOUT_ANYBODY),
    ("a customer who was deleted", "orders_create", {**WITHOUT_ANYBODY, "customer": {"id": 7, "email": None}}),
    ("an empty customer", "orders_create", {"customer": {}}),
    ("a customer as a list", "orders_create", {"customer": []}),
    ("no lines", "orders_create", {"line_items": []}),
    ("lines that are null", "orders_create", {"line_items": None}),
    ("null among the lines", "orders_create", {"line_items": [None, {"title": None}, "soap"]}),
    ("five hundred lines", "orders_create", {"line_items": [{"id": n, "title": f"Soap {n}"} for n in range(500)]}),
    ("ids as texts", "orders_create", {"id": "5523456789012", "order_number": "1042", "total_price": 64.89}),
    ("amounts with a comma", "orders_create", {"total_price": "64,89"}),
    ("an amount of many digits", "orders_create", {"total_price": "9" * 60}),
    ("a long note", "orders_create", {"note": "long " * 15_000}),
    ("emoji and right to left", "orders_create", {"name": "#١٠٤٢ 🎁", "note": "שלום 👩‍👩‍👧‍👦"}),
    ("attributes as an object", "orders_create", {"note_attributes": {"a": 1}, "tags": ["vip", None, 3]}),
    ("no id", "orders_create", {"id": None, "admin_graphql_api_id": None}),
    ("times that are none", "orders_create", {"created_at": "yesterday", "updated_at": 1700000000}),
    ("a time far away", "orders_create", {"created_at": "9999-12-31T23:59:59-14:00"}),
    ("refunds that are none", "orders_updated", {"refunds": [None, {"id": None}, {"id": 1, "transactions": None}]}),
    ("fulfillments that are none", "orders_updated", {"fulfillments": "none", "refunds": "none"}),
    ("an order cancelled before it was placed", "orders_cancelled", {"cancelled_at": "2020-01-01T00:00:00Z"}),
    ("only an id", "orders_cancelled", {"__only__": {"id": 5523456789012}}),
    ("a checkout without an id", "checkouts_update", {"id": None, "admin_graphql_api_id": None}),
    ("a checkout without id and token", "checkouts_update", {"id": None, "token": None, "cart_token": None}),
    ("a checkout of nobody", "checkouts_update", {**WITHOUT_ANYBODY, "customer": None}),
    ("an empty checkout", "checkouts_update", {"__only__": {}}),
    ("a deleted checkout", "checkouts_update", {"__topic__": "checkouts/delete", "__only__": {"id": 36120987654321}}),
    ("a deleted order", "orders_create", {"__topic__": "orders/delete", "__only__": {"id": 5523456789012}}),
    ("a deletion of nothing", "orders_create", {"__topic__": "orders/delete", "__only__": {}}),
    ("a fulfillment without its order", "fulfillments_create", {"order_id": None}),
    ("a fulfillment without anything", "fulfillments_update", {"__only__": {"id": 1}}),
    ("tracking as one text", "fulfillments_update", {"tracking_numbers": "1Z1,1Z2", "tracking_urls": {"a": 1}}),
    ("a destination that is null", "fulfillments_create", {"destination": None, "email": ""}),
    ("a refund of nothing", "refunds_create", {"__only__": {"id": 1}}),
    ("a refund with odd lines", "refunds_create", {"refund_line_items": [None, {"line_item": 0, "quantity": "x"}]}),
    ("a refund of a negative amount", "refunds_create", {"transactions": [
        {"kind": "refund", "status": "success", "amount": "-5.00", "currency": "USD"}]}),
    ("a refund without id", "refunds_create", {"id": None, "admin_graphql_api_id": None}),
    ("a customer without anything", "customers_update", {"__only__": {"id": 7120953364723}}),
    ("consent as a text", "customers_update", {"sms_marketing_consent": "subscribed"}),
    ("names of three hundred letters", "customers_update", {"first_name": "M" * 300, "last_name": "O" * 300}),
    ("a mail address of a thousand letters", "customers_update", {"email": "m" * 1000 + "@example.com"}),
    ("a country of three letters", "customers_update", {"default_address": {"country_code": "USA", "phone": "1"}}),
]  # fmt: skip


def body_of(name: str, changes: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    changes = dict(changes)
    topic, only = changes.pop("__topic__", None), changes.pop("__only__", None)
    return topic, only if only is not None else copy.deepcopy(payload(name)) | changes


async def test_whatever_a_shop_posts_is_taken_in_and_worked_on_to_its_end(store: Storefront) -> None:
    import json

    presets = ["abandoned_checkout", "order_confirmation", "shipping_update", "review_request", "win_back"]
    wrong = []
    for number, (what, name, changes) in enumerate(ODD):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain, presets=presets)
        topic, body = body_of(name, changes)
        await store.told("orders_create", domain=domain)
        response = await store.tell(
            name, domain=domain, topic=topic, body=json.dumps(body).encode(), event_id=f"odd-{number}"
        )
        if response.status_code != 200 or response.json()["ignored"]:
            wrong.append((what, response.status_code, response.text[:200]))
            continue
        await store.settled()
        for queue in ("events", "automations"):
            await store.idle(queue)
        [event] = [row for row in await store.all(ShopWebhookEvent) if row.event_id == f"odd-{number}"]
        tries = [
            await store.redis.hget(f"{store.prefix}:{queue}:shop-event-{event.id}", "atm")
            for queue in ("events", "automations")
        ]
        if event.error is not None or any(one not in ("1", None) for one in tries):
            wrong.append((what, event.error, tries))
    assert wrong == []


async def test_looks_at_a_checkout_without_an_id_are_looks_at_the_same_checkout(store: Storefront) -> None:
    await store.automation("cart", trigger="checkouts/update", delay_seconds=3600)
    for minute in (20, 21, 22):
        at = f"2026-11-20T14:{minute}:00-05:00"
        await store.told("checkouts_update", id=None, admin_graphql_api_id=None, updated_at=at)
    assert len(await store.messages()) == 1
