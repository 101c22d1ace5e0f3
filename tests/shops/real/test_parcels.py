"""Parcels: tracking that comes later, what does not travel at all, and fulfillments that were called back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shops.rules.payloads import SHOP, payload
from shops.storefront import Storefront
from tidings.messages.statuses import Status

MARA = "+18105550123"
NONE: dict[str, Any] = {
    "tracking_company": None,
    "tracking_number": None,
    "tracking_numbers": [],
    "tracking_url": None,
    "tracking_urls": [],
}


def tracked(*numbers: str) -> dict[str, Any]:
    urls = [f"https://track.example/{number}" for number in numbers]
    return {
        "tracking_company": "UPS",
        "tracking_number": numbers[0],
        "tracking_numbers": list(numbers),
        "tracking_url": urls[0],
        "tracking_urls": urls,
    }


BARE = "Blossom Soaps: your order #1042 is on its way."


def told_of(number: str) -> str:
    return f"Blossom Soaps: your order #1042 is on its way with UPS. Track it: https://track.example/{number}"


OFF = {"status": "cancelled"}
CREATE, UPDATE = "fulfillments_create", "fulfillments_update"

WAYS: list[tuple[str, list[tuple[str, dict[str, Any]]], list[str]]] = [
    ("with the parcel", [(CREATE, tracked("1Z1")), (UPDATE, tracked("1Z1"))], [told_of("1Z1")]),
    ("later", [(CREATE, NONE), (UPDATE, tracked("1Z1"))], [BARE, told_of("1Z1")]),
    (
        "later, and told again and again",
        [(CREATE, NONE), (UPDATE, NONE), *[(UPDATE, tracked("1Z1"))] * 3],
        [BARE, told_of("1Z1")],
    ),
    ("before the parcel", [(UPDATE, tracked("1Z1")), (CREATE, NONE)], [told_of("1Z1")]),
    ("a second number", [(CREATE, tracked("1Z1")), (UPDATE, tracked("1Z1", "1Z2"))],
     [told_of("1Z1"), told_of("1Z2")]),
    ("another number", [(CREATE, tracked("1Z1")), (UPDATE, tracked("1Z9"))], [told_of("1Z1"), told_of("1Z9")]),
    ("and back", [(CREATE, tracked("1Z1")), (UPDATE, tracked("1Z9")), (UPDATE, tracked("1Z1"))],
     [told_of("1Z1"), told_of("1Z9")]),
    ("taken away again", [(CREATE, tracked("1Z1")), (UPDATE, NONE)], [told_of("1Z1")]),
    ("on its way to the door", [(CREATE, NONE), (UPDATE, {**NONE, "shipment_status": "out_for_delivery"})], [BARE]),
    ("called back", [(CREATE, {**NONE, **OFF}), (UPDATE, {**tracked("1Z1"), **OFF})], []),
    ("called back before it was told of", [(UPDATE, {**NONE, "status": "cancelled"}), (CREATE, NONE)], []),
    ("called back, then tracked", [(CREATE, NONE), (UPDATE, {**tracked("1Z1"), "status": "cancelled"})], [BARE]),
    ("failed", [(CREATE, {**tracked("1Z1"), "status": "failure"})], []),
    ("a link without a number", [(CREATE, NONE), (UPDATE, {**tracked("1Z1"), "tracking_number": None,
     "tracking_numbers": []})], [BARE, told_of("1Z1")]),
    ("as one number and no list", [(CREATE, NONE), (UPDATE, {"tracking_company": "UPS", "tracking_number": "1Z1",
     "tracking_url": "https://track.example/1Z1", "tracking_numbers": None, "tracking_urls": None})],
     [BARE, told_of("1Z1")]),
    ("a number that stands for none", [(CREATE, {**NONE, "tracking_number": "N/A", "tracking_numbers": ["N/A"],
     "tracking_company": "null"}), (UPDATE, tracked("1Z1"))], [BARE, told_of("1Z1")]),
    ("zeros for a number", [(CREATE, {**NONE, "tracking_number": "0000", "tracking_company": "-"})], [BARE]),
    ("a carrier without a name", [(CREATE, {**NONE, "tracking_company": "Other", "tracking_number": "17"})],
     [f"{BARE} Tracking number: 17"]),
    ("a number as JSON's", [(CREATE, {**NONE, "tracking_number": 940011, "tracking_numbers": [940011]})],
     [f"{BARE} Tracking number: 940011"]),
]  # fmt: skip


async def test_tracking_is_told_once_whenever_it_comes(store: Storefront) -> None:
    wrong = []
    for number, (what, events, texts) in enumerate(WAYS):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain, presets=["shipping_update"])
        await store.told("orders_create", domain=domain)
        for minute, (name, changes) in enumerate(events):
            at = f"2026-11-20T14:4{minute}:00-05:00"
            moment = {"created_at": "2026-11-20T14:40:00-05:00", "updated_at": at}
            assert (await store.told(name, domain=domain, **{**moment, **changes})).error is None
        found = [message.text for message in await store.shops.messages.list(domain)]
        if found != texts:
            wrong.append((what, found))
    assert wrong == []


@pytest.mark.both_databases
async def test_tracking_that_is_told_many_times_at_once_leaves_once(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "shipping_update")
    await store.told("orders_create")
    await store.told("fulfillments_create", **NONE)
    answers = await asyncio.gather(*(store.tell("fulfillments_update", **tracked("1Z1")) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    await store.settled()
    assert [text for _, text in store.texts] == [BARE, told_of("1Z1")]


async def test_a_text_that_still_waits_takes_the_tracking_along(store: Storefront) -> None:
    preset = {"trigger": "fulfillments/create", "template": "{{ fulfillment.tracking_number | default: 'none yet' }}"}
    await store.automation("later", **preset, delay_seconds=3600)
    await store.told("orders_create")
    await store.told("fulfillments_create", **NONE)
    await store.told("fulfillments_update", **tracked("1Z1"))
    row = await store.message()
    store.clock.move(timedelta(hours=1))
    await store.deliver(row.id)
    assert store.texts == [(MARA, "1Z1")]


async def test_an_automation_that_says_nothing_of_tracking_is_not_asked_again(store: Storefront) -> None:
    await store.automation("packed", trigger="fulfillments/create", template="Packed!")
    await store.told("orders_create")
    await store.told("fulfillments_create", **NONE)
    event = await store.told("fulfillments_update", **tracked("1Z1"))
    assert event.evaluation == {}
    assert store.texts == [(MARA, "Packed!")]


async def test_an_old_parcel_that_is_heard_of_for_the_first_time_is_not_on_its_way(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "shipping_update")
    await store.told("orders_create")
    old = {"created_at": "2026-11-01T10:00:00-05:00", "shipment_status": "delivered"}
    await store.told("fulfillments_update", **{**tracked("1Z1"), **old})
    assert store.texts == []


async def test_a_fulfillment_that_is_called_back_stops_its_review(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "review_request")
    await store.told("checkouts_update.opted_in")
    await store.told("orders_create")
    await store.told("fulfillments_create")
    assert (await store.message()).status == Status.SCHEDULED
    await store.told("fulfillments_update", status="cancelled")
    assert (await store.message()).status == Status.CANCELLED


def item(title: str, **more: Any) -> dict[str, Any]:
    return {"id": hash(title) % 10**9 + 1, "title": title, "quantity": 1, "price": "1.00", **more}


SOAP = item("Soap", requires_shipping=True, gift_card=False)
CARD = item("Gift card", requires_shipping=False, gift_card=True)
EBOOK = item("The soap book (PDF)", requires_shipping=False)
TIP = item("Tip", requires_shipping=False, product_id=None)
SENT_CARD = item("Printed gift card", requires_shipping=True, gift_card=True)
UNKNOWN = item("Something")

CONTENTS: list[tuple[str, list[dict[str, Any]], bool, str | None]] = [
    ("a gift card", [CARD], False, None),
    ("a download", [EBOOK], False, None),
    ("a tip", [TIP], False, None),
    ("nothing that travels", [CARD, EBOOK, TIP], False, None),
    ("a gift card beside soap", [CARD, SOAP], True, "Soap"),
    ("soap and a tip", [SOAP, TIP], True, "Soap"),
    ("soap", [SOAP], True, "Soap"),
    ("a gift card that is posted", [SENT_CARD], True, "Printed gift card"),
    ("a line that does not say", [UNKNOWN], True, "Something"),
    ("no lines at all", [], True, None),
]


async def test_what_does_not_travel_is_not_on_its_way(store: Storefront) -> None:
    wrong = []
    for number, (what, lines, is_told, first) in enumerate(CONTENTS):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain, presets=["shipping_update", "review_request"])
        await store.told("checkouts_update.opted_in", domain=domain)
        await store.told("orders_create", domain=domain, line_items=[*lines, SOAP])
        await store.told("fulfillments_create", domain=domain, line_items=lines)
        found = await store.shops.messages.list(domain)
        items = {message.context["order"]["first_item"] for message in found if message.context}
        if len(found) != (2 if is_told else 0) or items - {first}:
            wrong.append((what, [message.purpose for message in found], items))
    assert wrong == []


async def test_what_was_handed_over_at_the_till_is_not_on_its_way(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "shipping_update")
    await store.told("orders_create", source_name="pos")
    await store.told("fulfillments_create", **NONE)
    assert store.texts == []
    await store.told("fulfillments_create", **{**tracked("1Z1"), "id": 2})
    assert store.texts == [(MARA, told_of("1Z1"))], "bought at the till, and sent home"
    assert payload("fulfillments_create")["order_id"] == payload("orders_create")["id"]
