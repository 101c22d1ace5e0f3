"""What a shop decides as a tenant holds for its messages and for nobody else's; what it hears is its own."""

from __future__ import annotations

from datetime import timedelta

from shops.storefront import OpenStorefront
from shops.tenants.street import ADA, AMBER, BIRCH, two_shops
from tidings.messages.gate.opt_outs import OptOutRequest, Stops, add_opt_out

CONSENT = {"address": ADA, "granted": True}


async def test_one_shops_caps_and_quiet_hours_do_not_touch_anothers_messages_to_the_same_number(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        for domain in (AMBER, BIRCH):
            await street.ask("POST", domain, "/consents", CONSENT, expect=201)
        changed = await street.ask("PATCH", AMBER, "/tenant", {"frequency_caps": "1/1d"})
        assert (changed["frequency_caps"], changed["quiet_hours"]) == ("1/1d", None)
        assert [await street.write(AMBER) for _ in range(2)] == ["sent", "PostponeJob"]
        assert [await street.write(BIRCH) for _ in range(2)] == ["sent", "sent"]
        await street.ask("PATCH", BIRCH, "/tenant", {"quiet_hours": "00:00-23:59"})
        street.store.clock.move(timedelta(days=2))
        assert await street.write(BIRCH) == "PostponeJob"
        assert await street.write(AMBER) == "sent"
        await street.ask("PATCH", BIRCH, "/tenant", {"quiet_hours_by_country": "US off"})
        assert await street.write(BIRCH) == "sent", "where the recipient is there are none"


async def test_tenants_are_shown_and_changed_by_the_installation_and_mistakes_are_named(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        listed = await street.owner("GET", "/tenants")
        assert [one["key"] for one in listed] == ["installation", street.tenant(AMBER), street.tenant(BIRCH)]
        path = f"/tenants/{street.tenant(AMBER)}"
        changed = await street.owner("PATCH", path, {"brand": "Amber & Co", "support": "help@amber.example"})
        assert (changed["brand"], changed["support"]) == ("Amber & Co", "help@amber.example")
        assert await street.ask("GET", AMBER, "/tenant") == changed
        assert (await street.owner("PATCH", path, {"brand": None}))["brand"] is None
        for wrong, field in (
            ({"quiet_hours": "night"}, "quiet_hours"),
            ({"frequency_caps": "many"}, "frequency_caps"),
            ({"quiet_hours_by_country": "France 20:00-10:00"}, "quiet_hours_by_country"),
            ({"support": "ask Bob"}, "support"),
            ({"timezone": "Europe/Berlin"}, "timezone"),
            ({"colour": "red"}, "colour"),
        ):
            refused = await street.owner("PATCH", path, wrong, expect=422)
            assert refused["errors"][0]["field"] == field, refused
        refused = await street.owner("PATCH", "/tenants/installation", {"brand": "x"}, expect=409)
        assert "TIDINGS_BRAND" in refused["detail"]
        await street.owner("GET", "/tenants/shop:99", expect=404)
        other = await street.store.api("PATCH", f"/shops/{AMBER}/tenant", {"brand": "x"}, key=street.keys[BIRCH])
        assert other.status_code == 404


async def test_a_shop_reads_its_own_replies_and_opt_outs_page_by_page_and_decides_about_its_own(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        for text in ("Where is my order?", "Thanks!", "STOP"):
            await street.says(AMBER, text)
        await street.says(BIRCH, "Great soap")
        page = await street.ask("GET", AMBER, "/replies?limit=2")
        assert [one["text"] for one in page["replies"]] == ["STOP", "Thanks!"]
        rest = await street.ask("GET", AMBER, f"/replies?before={page['before']}")
        assert ([one["text"] for one in rest["replies"]], rest["before"]) == (["Where is my order?"], None)
        [stopped] = (await street.ask("GET", AMBER, "/opt-outs"))["opt_outs"]
        assert (stopped["address"], stopped["words"], stopped["door"]) == (
            ADA,
            "STOP",
            f"mitto:{street.tenant(AMBER)}",
        )
        assert (await street.ask("GET", BIRCH, "/opt-outs"))["opt_outs"] == []
        by_hand = {"address": "(212) 555-0124", "words": "called us"}
        assert await street.ask("POST", AMBER, "/opt-outs", by_hand) == {"changed": True}
        found = await street.ask("GET", AMBER, "/opt-outs?address=212-555-0124")
        assert [(one["tenant"], one["door"]) for one in found["opt_outs"]] == [
            (street.tenant(AMBER), f"api:{street.tenant(AMBER)}")
        ]
        async with street.store.work.begin() as unit:
            word = OptOutRequest("+12125550125", "mitto", "reply", street.tenant(AMBER), "sms", "hmm", Stops.UNSURE)
            await add_opt_out(unit.session, word, street.store.clock.now())
        [unsure] = (await street.ask("GET", AMBER, "/opt-outs?unsure=true"))["opt_outs"]
        decision = f"/opt-outs/{unsure['id']}/decision"
        await street.ask("POST", BIRCH, decision, {"stop": True}, expect=404)
        assert (await street.ask("POST", AMBER, decision, {"stop": True}))["stops"] == "all"
        await street.ask("POST", AMBER, decision, {"stop": False}, expect=409)
