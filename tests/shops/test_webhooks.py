"""What a shop tells, from HTTP to the database: every topic, its ugly variants, and who is not let in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from shops.rules.payloads import NAMES, SHOP, payload
from shops.storefront import NOW, SECRET, OpenStorefront, Storefront
from support.app import run_job
from tidings.features.shops.jobs import CATCH_UP, CatchUpData
from tidings.features.shops.models import ShopCustomer, ShopOrder, ShopWebhookEvent
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.saving import save_contractor
from tidings.messages.gate.consents import Consent
from tidings.web.signatures import shopify_hmac

MARA = "+18105550123"


async def test_every_payload_is_taken_in_and_worked_on_to_its_end(store: Storefront) -> None:
    names = [name for name in NAMES if not name.startswith(("shop_redact", "app_uninstalled"))]
    assert len(names) > 25
    for name in names:
        event = await store.told(name)
        assert (event.error, event.processed_at, event.evaluated_at) == (None, NOW, NOW), name
        await store.idle("automations")
        for queue in ("events", "automations"):
            tries = await store.redis.hget(f"{store.prefix}:{queue}:shop-event-{event.id}", "atm")
            assert tries in ("1", None), f"{name} needed a second attempt in {queue}"


async def test_an_order_is_kept_with_its_customer_their_contact_and_their_consent(store: Storefront) -> None:
    await store.told("orders_create")
    await store.told("orders_paid")
    order, customer = (await store.all(ShopOrder))[0], await store.customer()
    assert len(await store.all(ShopOrder)) == 1
    assert (order.order_key, order.name, order.total, order.currency) == ("5523456789012", "#1042", "64.89", "USD")
    assert order.placed_at == datetime(2026, 11, 20, 19, 31, 7, tzinfo=UTC)
    assert order.paid_at == datetime(2026, 11, 20, 19, 33, 41, tzinfo=UTC)
    assert (order.customer_id, order.is_test) == (customer.id, False)
    assert (customer.customer_key, customer.first_name, customer.email) == (
        "7120953364723",
        "Mara",
        "mara.okafor@example.com",
    )
    assert (customer.phone, customer.orders_count, customer.total_spent) == (MARA, 4, "386.40"), "as the shop says"
    assert customer.last_order_at == order.placed_at
    [contact] = await store.all(Contractor)
    assert (customer.contractor_id, contact.phone, contact.name) == (contact.id, MARA, "Mara Okafor")
    assert contact.email is None, "a shop's word on a mail address makes nobody known by it"


async def test_totals_that_the_shop_does_not_tell_are_counted(store: Storefront) -> None:
    person = {key: value for key, value in payload("orders_create")["customer"].items() if key in ("id", "phone")}
    await store.told("orders_create", customer=person)
    await store.told("orders_paid", customer=person)
    await store.told("orders_create", id=88, total_price="10.11", customer=person)
    await store.told("orders_create", id=89, total_price="500.00", customer=person, test=True)
    customer = await store.customer()
    assert (customer.orders_count, customer.total_spent) == (2, "75.00")


async def test_a_contact_that_is_known_already_is_not_renamed(store: Storefront) -> None:
    async with store.work.begin() as unit:
        await save_contractor(unit.session, {"name": "Dr. Okafor", "phone": MARA}, NOW)
    await store.told("orders_create")
    [contact] = await store.all(Contractor)
    assert contact.name == "Dr. Okafor"
    assert (await store.customer()).contractor_id == contact.id


async def test_consent_and_its_withdrawal_are_kept_for_this_shop_with_their_proof(store: Storefront) -> None:
    await store.told("checkouts_update.opted_in")
    await store.told("customers_marketing_consent_update")
    words = await store.all(Consent)
    assert [word.granted for word in words] == [True, False]
    shop = await store.shops.accounts.get(SHOP)
    assert {(word.channel, word.tenant, word.source) for word in words} == {("sms", f"shop:{shop.id}", "shopify")}
    assert "unsubscribed" in (words[-1].proof or "")
    assert (await store.customer()).sms_consent == "unsubscribed"


async def test_an_older_word_on_consent_that_arrives_late_does_not_win(store: Storefront) -> None:
    await store.told("customers_marketing_consent_update")
    old = {"state": "subscribed", "opt_in_level": None, "consent_updated_at": "2026-11-01T08:00:00-05:00"}
    await store.told("customers_marketing_consent_update", sms_marketing_consent=old)
    assert (await store.customer()).sms_consent == "unsubscribed"
    assert [word.granted for word in await store.all(Consent)] == [False]


async def test_what_a_payload_lacks_is_said_in_sentences(store: Storefront) -> None:
    await store.automation()
    event = await store.told("orders_create.till")
    assert "no customer: the order names nobody" in event.missing
    assert event.evaluation["hello"]["result"] == "no_phone"
    assert await store.messages() == []


async def test_an_older_profile_that_arrives_late_only_fills_gaps(store: Storefront) -> None:
    person = payload("customers_update") | {"first_name": "Mara-Lou", "updated_at": "2026-11-20T14:00:00-05:00"}
    await store.told("customers_update", **person)
    await store.told("customers_update", **person | {"first_name": "M.", "updated_at": "2026-11-19T14:00:00-05:00"})
    assert (await store.customer()).first_name == "Mara-Lou"


async def test_a_guest_who_gets_an_account_stays_the_same_customer(store: Storefront) -> None:
    await store.told("checkouts_update", customer=None)
    assert (await store.customer()).customer_key == "email:mara.okafor@example.com"
    await store.told("orders_create")
    assert (await store.customer()).customer_key == "7120953364723"


async def test_a_parcel_and_a_refund_belong_to_the_buyer_of_their_order(store: Storefront) -> None:
    await store.told("orders_create")
    parcel = payload("fulfillments_create")
    gift = {"email": "friend@example.com", "destination": parcel["destination"] | {"phone": "+1 212 555 0199"}}
    shipped = await store.told("fulfillments_create", **gift)
    refunded = await store.told("refunds_create")
    customer = await store.customer()
    assert shipped.customer_id == refunded.customer_id == customer.id
    assert (await store.all(ShopOrder))[0].fulfilled_at is not None


async def test_an_unsigned_or_wrongly_signed_webhook_is_refused_and_nothing_is_stored(
    open_storefront: OpenStorefront,
) -> None:
    store = await open_storefront()
    await store.shop()
    for wrong in (
        {"secret": "another secret"},
        {"secret": None},
        {"secret": ""},
        {"headers": {"X-Shopify-Hmac-Sha256": "bm9uc2Vuc2U="}},
        {"headers": {"X-Shopify-Hmac-Sha256": "\u00e9".encode("latin-1")}},
        {"domain": "other.myshopify.com"},
        {"domain": None},
        {"domain": ""},
    ):
        response = await store.tell("orders_create", **wrong)
        assert response.status_code == 401, wrong
        assert response.headers["content-type"] == "application/problem+json"
    assert await store.all(ShopWebhookEvent) == []
    assert (await store.queues.stats("events")).total == 0


async def test_the_signature_is_that_of_the_bytes_not_of_the_json(store: Storefront) -> None:
    body = b'{"id":1,  "shop_id":2}'
    respaced = b'{"id":1,"shop_id":2}'
    signed = {"X-Shopify-Hmac-Sha256": shopify_hmac(SECRET, body)}
    assert (await store.tell("orders_create", body=respaced, secret=None, headers=signed)).status_code == 401
    assert (await store.tell("orders_create", body=body, secret=None, headers=signed)).status_code == 200


async def test_a_signed_body_that_cannot_be_used_is_refused_and_nothing_is_stored(store: Storefront) -> None:
    for body, status in (
        (b"not json", 422),
        (b"[1]", 422),
        (b'{"total": NaN}', 422),
        (b"\xff\xfe", 422),
        (b"[" * 50_000, 422),
        (b'{"note": "' + b"x" * 100_000 + b'"}', 413),
    ):
        assert (await store.tell("orders_create", body=body)).status_code == status, body[:20]
    assert (await store.tell("orders_create", headers={"X-Shopify-Topic": "orders/paid"})).status_code == 422
    assert await store.all(ShopWebhookEvent) == []


async def test_a_topic_that_is_not_understood_is_acknowledged_so_that_the_shop_does_not_repeat_it(
    store: Storefront,
) -> None:
    response = await store.tell("orders_create", topic="products/update")
    assert response.status_code == 200
    assert "not one that is understood" in response.json()["ignored"]
    assert await store.all(ShopWebhookEvent) == []


@pytest.mark.both_databases
async def test_characters_that_no_database_keeps_do_not_lose_an_order(store: Storefront) -> None:
    body = b'{"id": 77, "note": "a\\u0000b\\ud800", "email": "nul@example.com", "total_price": 1e999}'
    response = await store.tell("orders_create", body=body)
    assert response.status_code == 200
    await store.settled()
    [event] = await store.all(ShopWebhookEvent)
    assert (event.object_id, event.raw["note"], event.error) == ("77", "ab?", None)


@pytest.mark.both_databases
async def test_the_same_webhook_delivered_five_times_at_once_makes_one_event_and_one_message(
    store: Storefront,
) -> None:
    await store.automation()
    answers = await asyncio.gather(*(store.tell("orders_create", event_id="once") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False, True, True, True, True]
    await store.settled()
    assert len(await store.all(ShopWebhookEvent)) == 1
    assert (await store.message()).status == "sent"
    assert store.texts == [(MARA, "Hi Mara!")]
    again = await store.tell("orders_create", event_id="once")
    assert again.json()["duplicate"] is True
    await store.settled()
    assert len(store.texts) == 1


@pytest.mark.both_databases
async def test_the_same_order_under_five_event_ids_makes_one_message(store: Storefront) -> None:
    await store.automation()
    await asyncio.gather(*(store.tell("orders_create", event_id=f"other-{n}") for n in range(5)))
    await store.settled()
    assert len(await store.all(ShopWebhookEvent)) == 5
    assert len(await store.all(ShopCustomer)) == len(await store.all(ShopOrder)) == 1
    assert len(await store.messages()) == len(store.texts) == 1


async def test_an_event_is_known_by_its_event_id_else_its_webhook_id_else_its_content(store: Storefront) -> None:
    known = 0
    for event_id, webhook_id, is_new in (
        ("e", "1", True),
        ("e", "2", False),
        ("f", "2", True),
        ("", "w", True),
        ("", "w", False),
        ("", "v", True),
        ("", "", True),
        ("", "", False),
        ("e" * 300, "", True),
        ("e" * 300, "", False),
    ):
        headers = {"X-Shopify-Event-Id": event_id, "X-Shopify-Webhook-Id": webhook_id}
        assert (await store.tell("orders_create", headers=headers)).json()["duplicate"] is not is_new
        known += is_new
    assert len(await store.all(ShopWebhookEvent)) == known


async def test_the_request_id_travels_from_the_webhook_to_the_last_line_of_the_ledger(store: Storefront) -> None:
    await store.automation()
    event = await store.told("orders_create", headers={"X-Request-Id": "req_from-the-edge"})
    message = await store.message()
    [line] = await store.lines(message.id)
    assert event.request_id == message.request_id == line.request_id == "req_from-the-edge"


async def catch_up(store: Storefront) -> Any:
    return await run_job(store.app, CATCH_UP, CatchUpData())


@pytest.mark.both_databases
async def test_an_event_whose_job_was_lost_is_found_again(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    await store.shop()
    await store.tell("orders_create")
    keys = [key async for key in store.redis.scan_iter(f"{store.prefix}:*")]
    await store.redis.delete(*keys)
    assert await catch_up(store) == 0, "its job may still be on its way"
    store.clock.move((datetime(2026, 11, 20, 20, 1, tzinfo=UTC)) - NOW)
    assert await catch_up(store) == 1
    await store.work_all()
    await store.settled()
    assert (await store.customer()).phone == MARA
    assert await catch_up(store) == 0
