"""Each shop's own address for callbacks: what comes in by it concerns that shop alone."""

from __future__ import annotations

from shops.storefront import OpenStorefront
from shops.tenants.street import ADA, AMBER, BIRCH, two_shops
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.notices import Notice


async def test_a_stop_at_one_shops_address_stops_it_alone_and_is_answered_in_its_name_and_through_its_account(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        for domain in (AMBER, BIRCH):
            assert await street.write(domain, purpose="transactional") == "sent"
        await street.says(AMBER, "STOP")
        assert await street.write(BIRCH, purpose="transactional") == "sent"
        assert "opted out" in await street.write(AMBER, purpose="transactional")
        [(tenant, text)] = await street.notices()
        assert (tenant, text.partition(":")[0]) == (street.tenant(AMBER), "Amber")
        key, sent = street.mitto.taken[-1]
        assert (key, sent["from"], sent["to"]) == ("key-of-Amber", "Amber", ADA.removeprefix("+"))


async def test_a_start_at_one_shops_address_ends_nobody_elses_opt_out(open_storefront: OpenStorefront) -> None:
    async with two_shops(open_storefront) as street:
        await street.says(BIRCH, "STOP")
        await street.owner("POST", "/opt-outs", {"address": ADA, "tenant": "installation"})
        await street.owner("POST", "/opt-outs", {"address": "+12125550177"})
        await street.says(AMBER, "STOP")
        await street.says(AMBER, "START")
        await street.says(AMBER, "START", "+12125550177")
        holding = [row.tenant for row in await street.store.all(OptOut) if row.ended_at is None]
        assert holding == [street.tenant(BIRCH), "installation", "*"]
        assert await street.write(AMBER, purpose="transactional") == "sent"
        assert "opted out" in await street.write(AMBER, purpose="transactional", who="+12125550177")


async def test_a_report_at_one_shops_address_moves_no_message_of_another(open_storefront: OpenStorefront) -> None:
    async with two_shops(open_storefront) as street:
        assert await street.write(BIRCH, purpose="transactional") == "sent"
        [(_, sent)] = street.mitto.taken
        for report in (
            {"id": "mitto-1", "status": "UNDELIVERED"},
            {"id": "unknown", "reference": sent["reference"], "status": "UNDELIVERED"},
        ):
            await street.store.http.post(street.doors[AMBER], json=report)
            [line] = await street.store.lines((await street.store.message()).id)
            assert line.delivery_status in (None, "SENT"), report
        await street.store.http.post(street.doors[BIRCH], json={"id": "mitto-1", "status": "DELIVERED"})
        [line] = await street.store.lines((await street.store.message()).id)
        assert line.delivery_status == "DELIVERED"


async def test_the_address_is_shown_once_and_rotated_and_the_former_one_counts_until_it_is_forgotten(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        assert street.doors[AMBER].startswith("/webhooks/mitto/")
        assert "callback" not in str(await street.ask("GET", AMBER, ""))
        doors = [street.doors[AMBER]]
        for body in (None, {}, {"forget_previous": True}):
            answer = await street.ask("POST", AMBER, "/callback-token", body)
            assert answer["callback_url"].startswith("https://tidings.example/webhooks/mitto/")
            doors.append(answer["callback_url"].removeprefix("https://tidings.example"))
            status = [(await street.store.http.post(door, json={})).status_code for door in doors]
            former = 404 if body and body.get("forget_previous") else 200
            assert status == [*[404] * (len(doors) - 2), former, 200], body
        assert await street.write(AMBER, purpose="transactional") == "sent"
        assert street.mitto.taken[-1][1]["callback"] == f"https://tidings.example{doors[-1]}"
        await street.ask("POST", BIRCH, "/callback-token", {"forget": True}, expect=422)
        foreign = await street.store.api("POST", f"/shops/{AMBER}/callback-token", key=street.keys[BIRCH])
        assert foreign.status_code == 404
        assert await street.store.all(Notice) == []


async def test_without_a_public_address_the_path_is_shown(open_storefront: OpenStorefront) -> None:
    async with two_shops(open_storefront, public_url=None) as street:
        answer = await street.ask("POST", AMBER, "/callback-token")
        assert answer["callback_url"].startswith("/webhooks/mitto/")
