"""Tests of campaigns go to a shop's own phones once these are verified, and not despite a STOP."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from shops.storefront import OpenStorefront
from shops.tenants.street import ADA, AMBER, BIRCH, Street, two_shops
from tidings.features.shops.test_numbers.models import ShopTestNumber
from tidings.messages.inbound.notices import Notice

CAMPAIGN = {"name": "Sale", "template": "{{ shop.name }}: 20% off"}


async def code_of(street: Street) -> str:
    """The code that left last."""
    await street.notices()
    found = re.search(r"\d{6}", street.mitto.taken[-1][1]["text"])
    assert found is not None
    return found[0]


async def tried_out(street: Street, domain: str, to: str = ADA) -> Any:
    """What a test of a campaign says, and what became of it."""
    await street.ask("PUT", domain, "/campaigns/sale", CAMPAIGN)
    said = await street.ask("POST", domain, "/campaigns/sale/test", {"to": to})
    return said, await street.store.deliver(int(said["message"].rpartition("-")[2]))


async def test_a_test_goes_to_a_verified_number_without_consent_and_to_others_it_says_how_they_become_one(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront, quiet_hours="00:00-23:59", frequency_caps="1/7d") as street:
        said, _ = await tried_out(street, AMBER)
        assert (said["decision"], said["reason"]) == ("skip", "no_consent")
        assert "/test-numbers" in said["hint"]
        added = await street.ask("POST", AMBER, "/test-numbers", {"phone": "(212) 555-0123"}, expect=201)
        assert (added["phone"], added["verified_at"]) == (ADA, None)
        code = await code_of(street)
        assert street.mitto.taken[-1][1]["text"].startswith("Amber: ")
        assert (await tried_out(street, AMBER))[0]["decision"] == "skip", "it is not verified yet"
        verified = await street.ask("POST", AMBER, f"/test-numbers/{ADA}/confirm", {"code": f" {code} "})
        assert verified["verified_at"] is not None
        for _ in range(2):
            said, done = await tried_out(street, AMBER)
            assert (said["decision"], said["hint"], done) == ("send", None, "sent")
        order = {"name": "Order", "trigger": "orders/create", "template": "Hi from {{ shop.name }}"}
        await street.ask("PUT", AMBER, "/automations/order", order | {"purpose": "transactional"})
        said = await street.ask("POST", AMBER, "/automations/order/test", {"to": ADA}, expect=201)
        assert (said["text"], said["decision"]) == ("Hi from Amber", "send")
        assert await street.store.deliver(int(said["message"].rpartition("-")[2])) == "sent"
        said = await street.ask("POST", AMBER, "/automations/order/test", {"to": "+12125550199"}, expect=201)
        assert (said["reason"], "/test-numbers" in said["hint"]) == ("no_consent", True)
        assert (await tried_out(street, BIRCH))[0]["reason"] == "no_consent", "it is Amber's number"
        assert await street.campaign(AMBER, "all") == {"sent": 0}, "and no recipient of campaigns"
        await street.says(AMBER, "STOP")
        said, done = await tried_out(street, AMBER)
        assert (said["decision"], said["reason"]) == ("skip", "opted_out")
        await street.ask("DELETE", AMBER, f"/test-numbers/{ADA}")
        assert await street.ask("GET", AMBER, "/test-numbers") == []


async def test_a_code_is_kept_as_a_digest_counts_ten_minutes_and_can_be_guessed_five_times(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        confirm = f"/test-numbers/{ADA}/confirm"
        await street.ask("POST", AMBER, confirm, {"code": "123456"}, expect=404)
        await street.ask("POST", AMBER, "/test-numbers", {"phone": ADA}, expect=201)
        code = await code_of(street)
        [row] = await street.store.all(ShopTestNumber)
        [notice] = await street.store.all(Notice)
        assert code not in f"{vars(row)} {notice.text}"
        again = await street.ask("POST", AMBER, "/test-numbers", {"phone": ADA}, expect=409)
        assert "got a code just now" in again["detail"]
        wrong = f"{(int(code) + 1) % 10**6:06}"
        for left in (4, 3, 2, 1, 0):
            refused = await street.ask("POST", AMBER, confirm, {"code": wrong}, expect=422)
            assert f"{left} tries are left" in refused["detail"]
        refused = await street.ask("POST", AMBER, confirm, {"code": code}, expect=422)
        assert "guessed at too often" in refused["detail"]
        street.store.clock.move(timedelta(minutes=2))
        await street.ask("POST", AMBER, "/test-numbers", {"phone": ADA}, expect=201)
        second = await code_of(street)
        street.store.clock.move(timedelta(minutes=11))
        refused = await street.ask("POST", AMBER, confirm, {"code": second}, expect=422)
        assert "is too old" in refused["detail"]
        assert (await street.ask("GET", BIRCH, "/test-numbers")) == []


async def test_who_said_stop_to_the_shop_gets_no_code(open_storefront: OpenStorefront) -> None:
    async with two_shops(open_storefront) as street:
        await street.says(AMBER, "STOP")
        refused = await street.ask("POST", AMBER, "/test-numbers", {"phone": ADA}, expect=409)
        assert "has opted out" in refused["detail"]
        await street.ask("POST", BIRCH, "/test-numbers", {"phone": ADA}, expect=201)
        await street.says(BIRCH, "STOP")  # before the code has left
        assert [text for tenant, text in await street.notices() if "verifies" in text] != []
        assert not any("verifies" in sent["text"] for _, sent in street.mitto.taken)
