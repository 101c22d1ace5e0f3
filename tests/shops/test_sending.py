"""A shop's own Mitto account: its key, its sender, its callbacks, and the installation's where it has none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shops.mitto import mitto_server
from shops.rules.payloads import SHOP
from shops.storefront import OWNERS_TOKEN, OpenStorefront, Storefront
from tidings.features.shops.models import Shop
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.statuses import Status

MARA = "+18105550123"


async def test_a_shop_with_a_key_sends_through_its_own_account_and_a_new_key_counts_at_once(
    open_storefront: OpenStorefront,
) -> None:
    async with mitto_server() as mitto:
        store = await open_storefront(mitto_url=mitto.url)
        await store.shop(sender="Blossom", mitto_api_key="first-key")
        await store.work_all()
        await store.automation()
        await store.told("orders_create")
        await store.shops.accounts.change(SHOP, {"mitto_api_key": "second-key", "sender": "Soaps"})
        await store.told("orders_create", id=2)
        await store.shops.accounts.change(SHOP, {"mitto_api_key": None})
        await store.told("orders_create", id=3)
        [(first, sent), (second, later)] = mitto.taken
        assert (first, second) == ("first-key", "second-key")
        assert (sent["from"], sent["to"], sent["text"]) == ("Blossom", "18105550123", "Hi Mara!")
        assert sent["callback"] == f"https://tidings.example/webhooks/mitto/{await store.callback_token()}"
        assert later["from"] == "Soaps"
        assert store.texts == [(MARA, "Hi Mara!")], "the third went through the installation's provider"
        rows = await store.messages()
        lines = [(await store.lines(row.id))[0] for row in rows]
        assert [(line.channel, line.provider) for line in lines] == [("sms", "mitto")] * 2 + [("sms", "provider")]


async def test_a_sender_of_its_own_goes_through_the_installations_account_and_reports_come_back_to_the_shop(
    open_storefront: OpenStorefront,
) -> None:
    async with mitto_server() as mitto:
        store = await open_storefront(mitto_url=mitto.url, mitto_api_key="the-installations-key")
        await store.shop(sender="Blossom")
        await store.work_all()
        await store.automation()
        await store.told("orders_create")
        [(key, sent)] = mitto.taken
        assert (key, sent["from"]) == ("the-installations-key", "Blossom")
        assert sent["callback"] == f"https://tidings.example/webhooks/mitto/{await store.callback_token()}"
        assert store.texts == []


async def test_a_shop_without_a_sender_goes_through_the_installations_provider(
    open_storefront: OpenStorefront,
) -> None:
    async with mitto_server() as mitto:
        store = await open_storefront(mitto_url=mitto.url, mitto_api_key="the-installations-key")
        await store.shop(mitto_api_key="a-key-of-its-own")
        await store.work_all()
        await store.automation()
        await store.told("orders_create")
        assert (store.texts, mitto.taken) == ([(MARA, "Hi Mara!")], [])


async def test_without_a_public_address_reports_go_where_mittos_account_says(open_storefront: OpenStorefront) -> None:
    async with mitto_server() as mitto:
        store = await open_storefront(mitto_url=mitto.url, public_url=None)
        await store.shop(sender="Blossom", mitto_api_key="first-key")
        await store.work_all()
        await store.automation()
        await store.told("orders_create")
        [(key, sent)] = mitto.taken
        assert (key, sent["from"]) == ("first-key", "Blossom")
        assert "callback" not in sent


async def test_a_key_that_cannot_be_opened_fails_its_own_shops_messages_with_the_reason(store: Storefront) -> None:
    await store.shops.accounts.change(SHOP, {"sender": "Blossom", "mitto_api_key": "first-key"})
    await store.automation("cart", trigger="checkouts/update", delay_seconds=60)
    await store.told("checkouts_update")
    row = await store.message()
    async with store.work.begin() as unit:
        shop = await unit.session.get(Shop, row.shop_id)
        assert shop is not None
        shop.mitto_api_key = "v1.000000000000.nonsense"
    store.clock.move(row.scheduled_time - store.clock.now())
    assert await store.deliver(row.id, last=True) == "GiveUpJob"
    row = await store.message()
    assert row.status == Status.FAILED
    assert "shops.mitto_api_key" in (row.error_message or "")


@pytest.mark.parametrize("form", [False, True])
async def test_mittos_reports_and_replies_come_in_under_the_shops_own_address(
    open_storefront: OpenStorefront, form: bool
) -> None:
    async with mitto_server() as mitto:
        store = await open_storefront(mitto_url=mitto.url)
        await store.shop(sender="Blossom", mitto_api_key="first-key")
        await store.work_all()
        await store.automation()
        await store.told("orders_create")
        path = f"/webhooks/mitto/{await store.callback_token()}"

        async def call(fields: dict[str, str], to: str = path) -> Any:
            sent: dict[str, Any] = {"data": fields} if form else {"content": json.dumps(fields)}
            return await store.http.post(to, **sent)

        [(_, sent)] = mitto.taken
        report = {"id": "mitto-1", "reference": sent["reference"], "status": "DELIVERED"}
        assert (await call(report)).json() == {"taken_as": "report"}
        [line] = await store.lines((await store.message()).id)
        assert line.delivery_status == "DELIVERED"
        assert (await call({"from": "18105550123", "text": "STOP", "id": "mo-1"})).json() == {"taken_as": "reply"}
        assert (await call({"from": "18105550123", "text": "STOP", "id": "mo-1"})).status_code == 200
        [opt_out] = await store.all(OptOut)
        assert opt_out.address == MARA
        assert (await call({"from": "Bank", "text": "hello", "id": "mo-2"})).status_code == 200
        assert (await call({"nothing": "known"})).json() == {"taken_as": None}
        foreign = {"id": "somebody-elses", "status": "DELIVERED"}
        for wrong in ("/webhooks/mitto/wrong", f"{path}x", f"/webhooks/mitto/{OWNERS_TOKEN[:-1]}", path[:-1]):
            assert (await call(foreign, wrong)).status_code == 404
        assert (await call({"nothing": "known"}, f"/webhooks/mitto/{OWNERS_TOKEN}")).status_code == 200
        assert (await store.http.post(path, content=b"\xff[[[")).json() == {"taken_as": None}


async def test_a_report_names_its_message_by_our_reference_and_one_about_no_message_of_ours_is_taken(
    open_storefront: OpenStorefront,
) -> None:
    async with mitto_server() as mitto:
        store = await open_storefront(mitto_url=mitto.url)
        await store.shop(sender="Blossom", mitto_api_key="first-key")
        await store.work_all()
        await store.automation()
        await store.told("orders_create")
        path = f"/webhooks/mitto/{await store.callback_token()}"
        [(_, sent)] = mitto.taken
        report = {"id": "the-answer-was-lost", "reference": sent["reference"], "status": "UNDELIVERED"}
        assert (await store.http.post(path, json=report)).json() == {"taken_as": "report"}
        [line] = await store.lines((await store.message()).id)
        assert line.delivery_status == "FAILED"
        foreign = {"id": "somebody-elses", "status": "DELIVERED"}
        assert (await store.http.post(path, json=foreign)).status_code == 200
