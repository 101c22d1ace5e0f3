"""The three privacy topics: what is kept is handed out, and what is to be erased is nowhere any more."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import inspect, text

from shops.rules.payloads import SHOP, payload
from shops.storefront import NOW, Storefront
from tidings.db.base import Base
from tidings.engine.jobs import DeadJob
from tidings.features.followups.models import ActionItem
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage, ShopOrder, ShopWebhookEvent
from tidings.features.shops.privacy.models import ShopDataExport
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.replies import IncomingReply
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.statuses import Reason, Status

MARA = "+18105550123"
MARKS = ("mara", "okafor", "8105550123", "810-555-0123", "7120953364723")
CART = {"trigger": "checkouts/update", "delay_seconds": 3600, "goal_topic": "orders/cancelled"}


async def everywhere(store: Storefront, *marks: str) -> dict[str, str]:
    """The rows of every table of the database in which one of the marks stands, opt-outs aside."""
    found = {}
    async with store.work.read() as session:
        connection = await session.connection()
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert set(names) >= set(Base.metadata.tables)
        for name in names:
            if name == OptOut.__tablename__:
                continue
            for number, row in enumerate((await session.execute(text(f'SELECT * FROM "{name}"'))).all()):
                shown = json.dumps([str(value) for value in row], ensure_ascii=False).lower()
                if any(mark in shown for mark in marks):
                    found[f"{name}.{number}"] = shown
    return found


async def live_through_everything(store: Storefront) -> None:
    """Mara buys, is written to, answers STOP, asks for her data, and one of her jobs fails for good."""
    await store.automation()
    await store.automation("cart", **CART)
    await store.told("checkouts_update", customer=None)
    await store.told("checkouts_update.opted_in")
    for name in ("customers_update", "orders_create", "orders_paid", "fulfillments_create", "refunds_create"):
        await store.told(name)
    await store.told("customers_marketing_consent_update")
    await store.app.inbound.receive_reply(IncomingReply("mitto", "r1", MARA, "STOP, says Mara", None, None))
    await store.app.inbound.receive_reply(IncomingReply("mitto", "r2", MARA, "this is Mara again", None, None))
    await store.told("customers_data_request")
    data = {"shopId": SHOP, "topic": "orders/create", "raw": payload("orders_create")}
    failed = DeadJob("events", "orders/create", "7", data, "cannot write to +18105550123", 5, NOW, "req_1")
    await store.app.dead_letters.store(failed)
    assert (MARA, "Hi Mara!") in store.texts


async def test_what_is_kept_about_somebody_is_handed_to_the_shop(store: Storefront) -> None:
    await store.automation()
    await store.told("orders_create")
    await store.told("customers_data_request")
    [listed] = (await store.api("GET", f"/shops/{SHOP}/data-exports")).json()
    export = (await store.api("GET", f"/shops/{SHOP}/data-exports/{listed['id']}")).json()["content"]
    assert [one["email"] for one in export["customers"]] == ["mara.okafor@example.com"]
    assert [one["name"] for one in export["orders"]] == ["#1042"]
    assert [one["text"] for one in export["messages"]] == ["Hi Mara!"]
    assert [one["topic"] for one in export["events"]] == ["orders/create"]
    assert export["events"][0]["raw"]["id"] == 5523456789012


@pytest.mark.both_databases
async def test_after_customers_redact_nothing_of_the_person_is_left_in_any_table(store: Storefront) -> None:
    await live_through_everything(store)
    before = await everywhere(store, *MARKS)
    tables = {place.partition(".")[0] for place in before}
    assert tables >= {
        "contractors", "shop_customers", "shop_webhook_events", "shop_messages", "shop_data_exports", "replies",
        "dead_letters", "notices",
    }  # fmt: skip
    assert len(await store.all(ShopOrder)) == 1
    texts = len(store.texts)
    await store.told("customers_redact")
    assert await everywhere(store, *MARKS) == {}
    assert await store.all(ShopOrder) == await store.all(Contractor) == await store.all(ShopDataExport) == []
    assert all(row.redacted_at == NOW for row in await store.all(ShopCustomer))
    rows = await store.messages()
    assert {row.status for row in rows} == {Status.SENT, Status.CANCELLED}, "the rows stay, for the figures"
    assert [row.status_reason for row in rows if row.status == Status.CANCELLED] == [Reason.REDACTED]
    assert {(row.recipient, row.text, row.context, row.contractor_id) for row in rows} == {(None, None, None, None)}
    assert sum(row.segments or 0 for row in rows) == 1
    assert len(store.texts) == texts


async def test_a_stop_outlives_the_erasure_and_still_counts(store: Storefront) -> None:
    await live_through_everything(store)
    await store.told("customers_redact")
    [opt_out] = await store.all(OptOut)
    assert (opt_out.address, opt_out.ended_at, opt_out.contact_id, opt_out.words) == (MARA, None, None, None)
    texts = len(store.texts)
    await store.told("orders_create", id=501)
    assert [row.status_reason for row in await store.messages()][-1] == Reason.OPTED_OUT
    assert len(store.texts) == texts


async def test_a_person_named_by_a_mail_address_alone_is_erased_as_well(store: Storefront) -> None:
    await live_through_everything(store)
    await store.told("customers_redact.only_email")
    assert await everywhere(store, *MARKS) == {}


async def test_who_is_known_elsewhere_keeps_their_contact_and_nothing_of_the_shop(store: Storefront) -> None:
    await live_through_everything(store)
    contact = next(one for one in await store.all(Contractor) if one.phone == MARA)
    async with store.work.begin() as unit:
        unit.session.add(ActionItem(contractor_id=contact.id, title="Call back", created_at=NOW, updated_at=NOW))
    await store.told("customers_redact")
    assert [row.id for row in await store.all(Contractor)] == [contact.id]
    places = {place.partition(".")[0] for place in await everywhere(store, *MARKS)}
    kept = {"contractors", "contact_addresses", "contact_words", "replies", "notices"}
    assert places <= kept, "what was said to the installation itself"
    assert [reply.kind for reply in await store.all(StoredReply) if reply.kind == "shop-message"] == []


async def test_somebody_of_the_same_household_is_left_alone(store: Storefront) -> None:
    await store.automation()
    await store.told("orders_create")
    ben = {"id": 42, "first_name": "Ben", "last_name": "Cruz", "email": "ben@example.com", "phone": MARA}
    order = {"id": 43, "customer": ben, "email": "ben@example.com", "contact_email": "ben@example.com"}
    await store.told("orders_create", checkout_token="bens", **order)
    await store.told("customers_redact")
    kept = [row for row in await store.all(ShopCustomer) if row.redacted_at is None]
    assert [(row.customer_key, row.phone) for row in kept] == [("42", MARA)]
    assert [row.order_key for row in await store.all(ShopOrder)] == ["43"]
    assert [row.text for row in await store.all(ShopMessage)] == [None, "Hi Ben!"]
    assert len(await store.all(Contractor)) == 1


@pytest.mark.both_databases
async def test_shop_redact_erases_the_shop_and_everybody_in_it_and_no_other_shop(store: Storefront) -> None:
    other = "other.myshopify.com"
    await store.shop(other)
    await store.automation(shop=other)
    nothing = dict.fromkeys(("email", "contact_email", "billing_address", "shipping_address", "note_attributes"))
    ben = {"id": 5, "first_name": "Ben", "phone": "+12125550101"}
    await store.told("orders_create", domain=other, id=9, customer=ben, **nothing)
    await live_through_everything(store)
    await store.tell("orders_create", topic="products/update")
    await store.told("app_uninstalled")
    assert (await store.tell("shop_redact")).status_code == 200
    async with asyncio.timeout(10):
        while len(await store.all(Shop)) > 1:
            await asyncio.sleep(0.01)
    assert await everywhere(store, SHOP, *MARKS) == {}
    [shop] = await store.all(Shop)
    assert shop.domain == other
    for model in (ShopCustomer, ShopOrder, ShopMessage):
        assert {row.shop_id for row in await store.all(model)} == {shop.id}
    assert (await store.tell("orders_create")).status_code == 401, "an erased shop is an unknown one"


async def test_an_export_belongs_to_its_shop_alone(store: Storefront) -> None:
    await store.shop("other.myshopify.com")
    await store.told("orders_create")
    await store.told("customers_data_request")
    [export] = await store.all(ShopDataExport)
    assert (await store.api("GET", f"/shops/other.myshopify.com/data-exports/{export.id}")).status_code == 404
    assert [row.topic for row in await store.all(ShopWebhookEvent)] == ["orders/create", "customers/data_request"]


def test_the_marks_are_in_the_payload() -> None:
    shown: Any = json.dumps(payload("orders_create")).lower()
    assert all(mark in shown for mark in MARKS if mark != "8105550123")
