"""Signing up for a shop's campaigns by text: the keyword, the second yes, and what ends it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shops.storefront import OWNERS_TOKEN, OpenStorefront
from shops.tenants.street import ADA, AMBER, BIRCH, two_shops
from tidings.features.shops.rules.sign_up import asks_twice, read_keyword, said_word
from tidings.features.shops.sign_ups.models import ShopSignUp
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.stored import StoredReply


async def test_the_keyword_signs_up_for_that_shops_campaigns_and_is_confirmed_in_its_name(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        await street.ask("PATCH", AMBER, "/tenant", {"programme": "Amber Club"})
        await street.says(AMBER, "Hi, join please!")
        [(tenant, text)] = await street.notices()
        assert tenant == street.tenant(AMBER)
        assert text.startswith("Amber (Amber Club): you are signed up.")
        assert street.mitto.taken[-1][0] == "key-of-Amber"
        [consent] = await street.store.all(Consent)
        assert (consent.tenant, consent.granted, consent.source) == (tenant, True, "keyword")
        assert (consent.door, consent.address) == (f"mitto:{tenant}", ADA)
        assert (consent.proof or "").endswith("Hi, join please!")
        [reply] = await street.store.all(StoredReply)
        assert (reply.action_taken, reply.tenant, reply.contact_id) == ("signed_up", tenant, consent.contact_id)
        assert await street.campaign(AMBER, "sale") == {"sent": 1}
        assert await street.campaign(BIRCH, "sale") == {"sent": 0}


async def test_with_double_opt_in_the_second_yes_counts_within_a_day_and_is_kept_as_proof(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        await street.ask("PATCH", AMBER, "", {"double_opt_in": True})
        await street.says(AMBER, "JOIN")
        assert await street.store.all(Consent) == []
        await street.says(BIRCH, "Yes")
        assert await street.store.all(Consent) == [], "the yes is for whom it was asked by"
        street.store.clock.move(timedelta(hours=25))
        await street.says(AMBER, "YES")
        assert await street.store.all(Consent) == [], "too late"
        await street.says(AMBER, "JOIN")
        street.store.clock.move(timedelta(hours=23))
        await street.says(AMBER, "Ja, bitte")
        [consent] = await street.store.all(Consent)
        assert "reply YES" in (consent.wording or "")
        assert [line.rpartition(": ")[2] for line in (consent.proof or "").splitlines()] == ["JOIN", "Ja, bitte"]
        assert await street.store.all(ShopSignUp) == []
        texts = [text for _, text in await street.notices()]
        assert [text.split(":")[1][:12] for text in texts] == [" reply YES t"] * 2 + [" you are sig"]
        await street.says(AMBER, "YES")
        assert len(await street.store.all(Consent)) == 1


@pytest.mark.parametrize("double", [False, True])
async def test_join_ends_what_stop_by_the_same_door_ended_and_no_other_silence(
    open_storefront: OpenStorefront, double: bool
) -> None:
    async with two_shops(open_storefront) as street:
        await street.ask("PATCH", AMBER, "", {"double_opt_in": double})
        await street.says(AMBER, "STOP")
        await street.says(BIRCH, "STOP")
        await street.says(AMBER, "JOIN")
        if double:
            assert "opted out" in await street.write(AMBER), "until it is confirmed the STOP holds"
            await street.says(AMBER, "yes")
        assert await street.write(AMBER) == "sent"
        assert "opted out" in await street.write(BIRCH)
        holding = [row.tenant for row in await street.store.all(OptOut) if row.ended_at is None]
        assert holding == [street.tenant(BIRCH)]


async def test_stop_after_join_wins_over_a_later_yes(open_storefront: OpenStorefront) -> None:
    async with two_shops(open_storefront) as street:
        await street.ask("PATCH", AMBER, "", {"double_opt_in": True})
        for text in ("JOIN", "STOP", "Yes"):
            street.store.clock.move(timedelta(seconds=1))
            await street.says(AMBER, text)
        assert await street.store.all(Consent) == []
        assert "opted out" in await street.write(AMBER)


async def test_by_the_shared_door_a_keyword_counts_where_only_one_shop_there_has_it(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        shared = {"sender": None, "mitto_api_key": None}
        await street.open("cedar.myshopify.com", **shared)
        await street.open("dill.myshopify.com", **shared, join_keyword="dill club")
        street.doors["shared"] = f"/webhooks/mitto/{OWNERS_TOKEN}"
        await street.says("shared", "JOIN")
        await street.says("shared", "Dill Club")
        signed_up = [one.tenant for one in await street.store.all(Consent)]
        assert signed_up == [street.tenant("cedar.myshopify.com"), street.tenant("dill.myshopify.com")]
        await street.open("elder.myshopify.com", **shared)
        await street.says("shared", "JOIN")
        assert len(await street.store.all(Consent)) == 2, "two shops there have it now"
        assert [row.action_taken for row in await street.store.all(StoredReply)][-1] != "signed_up"


async def test_a_shop_may_have_another_keyword_or_none_but_no_word_that_means_something_else(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        changed = await street.ask("PATCH", AMBER, "", {"join_keyword": " vip  Club "})
        assert changed["join_keyword"] == "VIP CLUB"
        await street.says(AMBER, "JOIN")
        assert await street.store.all(Consent) == []
        await street.says(AMBER, "ＶＩＰ club")
        assert len(await street.store.all(Consent)) == 1
        for wrong in ("STOP", "Start", "help", "YES", "please", "5", "j!", "x" * 50, ""):
            refused = await street.ask("PATCH", AMBER, "", {"join_keyword": wrong}, expect=422)
            assert refused["errors"][0]["field"] == "join_keyword", wrong
        await street.ask("PATCH", BIRCH, "", {"join_keyword": None})
        await street.says(BIRCH, "JOIN")
        assert len(await street.store.all(Consent)) == 1


async def test_help_names_the_programme_and_where_help_is(open_storefront: OpenStorefront) -> None:
    async with two_shops(open_storefront) as street:
        change = {"brand": "Amber & Co", "programme": "Amber Club", "support": "help@amber.example"}
        await street.ask("PATCH", AMBER, "/tenant", change)
        await street.says(AMBER, "HELP")
        [(tenant, text)] = await street.notices()
        assert tenant == street.tenant(AMBER)
        assert text.startswith("Amber & Co (Amber Club): For help, contact help@amber.example.")


def test_where_the_law_wants_it_people_are_asked_twice_unless_the_shop_says_otherwise() -> None:
    cases = {
        (None, "US", "+12125550123"): False,
        (None, "DE", "+12125550123"): True,
        (None, "US", "+4915112345678"): True,
        (None, "GB", "+447911123456"): False,
        (False, "DE", "+4915112345678"): False,
        (True, "US", "+12125550123"): True,
    }
    assert {case: asks_twice(*case) for case in cases} == cases


def test_a_keyword_is_heard_alone_and_with_politeness_and_not_within_a_sentence() -> None:
    cases = {
        "join": "JOIN",
        "JOIN!!": "JOIN",
        "Hi, please JOIN me in. Thanks": "JOIN",
        "Sign me up": "SIGN",
        "can I join you for lunch at the fair": None,
        "": None,
        "please": None,
        "x" * 500: None,
    }
    assert {text: said_word(text) for text in cases} == cases
    assert read_keyword("join") == "JOIN"
