"""What people agree to counts for the shop that they said it to."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from shops.storefront import NOW, OpenStorefront
from shops.tenants.street import ADA, AMBER, BIRCH, two_shops
from tidings.features.shops.models import ShopCustomer
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.consents import Consent

EXPORT = (
    "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1,"
    "Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Tags\n"
    "'1,Ada,Abara,ada@example.com,yes,Acme,1 Main,'8105550199,'+18105550101,no,10.00,vip\n"
    "'2,,,,no,,,,'+18105550102,yes,0.00,\n"
    "'3,Cyd,Cole,,no,,,,,no,0.00,\n"
)
LIST = (
    "phone,first name,status,opted in at,source,wording\n"
    f"{ADA},Ada,subscribed,2025-05-01 10:00,popup,Yes I want texts\n"
    "212-555-0124,Ben,yes,03/25/2025,,\n"
    "12,Cyd,yes,2025-05-01,,\n"
    "+12125550125,Dee,perhaps,2025-05-01,,\n"
    "+12125550126,Eve,never_subscribed,,,\n"
)


async def test_fresh_consent_at_one_shop_counts_there_whatever_was_said_to_another(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        for domain in (AMBER, BIRCH):
            await street.ask("POST", domain, "/consents", {"address": ADA, "granted": True}, expect=201)
            assert await street.write(domain) == "sent"
        await street.says(AMBER, "STOP")
        street.store.clock.move(timedelta(hours=1))
        kept = await street.ask("POST", BIRCH, "/consents", {"address": ADA, "granted": True}, expect=201)
        assert kept["opted_out_since"] is None
        again = await street.ask("POST", AMBER, "/consents", {"address": ADA, "granted": True}, expect=201)
        assert again["opted_out_since"] is not None, "a form of the shop ends no STOP"
        assert await street.campaign(BIRCH, "sale") == {"sent": 1}
        assert await street.campaign(AMBER, "sale") == {"sent": 0, "opted_out": 1}


async def test_a_shop_keeps_consents_with_wording_and_proof_and_sees_only_its_own(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        given = {
            "address": "(212) 555-0123",
            "granted": True,
            "source": "checkout",
            "wording": "Yes, text me offers",
            "proof": "https://amber.example/checkout/1",
            "at": "2026-05-01T09:00:00+02:00",
        }
        kept = await street.ask("POST", AMBER, "/consents", given, expect=201)
        assert {
            name: kept[name] for name in ("tenant", "channel", "purpose", "address", "door", "wording", "at")
        } == {
            "tenant": street.tenant(AMBER),
            "channel": "sms",
            "purpose": "promotional",
            "address": ADA,
            "door": f"api:{street.tenant(AMBER)}",
            "wording": "Yes, text me offers",
            "at": "2026-05-01T07:00:00Z",
        }
        [customer] = await street.store.all(ShopCustomer)
        assert (customer.phone, customer.contractor_id, customer.customer_key) == (ADA, 1, f"phone:{ADA}")
        by_id = {"customer_id": customer.id, "granted": False}
        await street.ask("POST", AMBER, "/consents", by_id, expect=201)
        await street.ask("POST", BIRCH, "/consents", by_id, expect=404)
        await street.ask("POST", AMBER, "/consents", {"granted": True}, expect=422)
        page = await street.ask("GET", AMBER, "/consents?limit=1")
        assert [one["granted"] for one in page["consents"]] == [False]
        rest = await street.ask("GET", AMBER, f"/consents?before={page['before']}")
        assert ([one["granted"] for one in rest["consents"]], rest["before"]) == ([True], None)
        assert (await street.ask("GET", BIRCH, "/consents"))["consents"] == []
        everything = await street.owner("GET", f"/consents?address=%2B12125550123&tenant={street.tenant(AMBER)}")
        assert len(everything["consents"]) == 2
        assert len((await street.owner("GET", "/consents?contractor_id=1"))["consents"]) == 2


async def test_consent_by_address_is_kept_for_any_tenant_and_mistakes_are_named(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        said = {"address": "Ada@Example.com", "granted": True, "tenant": "installation"}
        kept = await street.owner("POST", "/consents", said, expect=201)
        assert (kept["channel"], kept["address"], kept["contact_id"]) == ("email", "ada@example.com", 1)
        of_shop = {"granted": True, "tenant": street.tenant(AMBER), "channel": "email"}
        await street.owner("POST", "/contractors/1/consents", of_shop, expect=201)
        for wrong, status in (
            ({**said, "tenant": "shop:99"}, 404),
            ({**said, "tenant": "nobody"}, 422),
            ({**said, "channel": "sms"}, 422),
            ({**said, "address": "12"}, 422),
            ({**said, "purpose": "transactional", "granted": False}, 422),
        ):
            await street.owner("POST", "/consents", wrong, expect=status)
        assert len(await street.store.all(Consent)) == 2


async def test_consent_to_transactional_messages_lets_no_campaign_go(open_storefront: OpenStorefront) -> None:
    async with two_shops(open_storefront) as street:
        said = {"address": ADA, "granted": True, "purpose": "transactional"}
        await street.ask("POST", AMBER, "/consents", said, expect=201)
        assert await street.campaign(AMBER, "sale") == {"sent": 0, "no_consent": 1}


async def test_good_lines_of_a_file_are_taken_bad_ones_told_and_the_same_file_again_changes_nothing(
    open_storefront: OpenStorefront,
) -> None:
    async with two_shops(open_storefront) as street:
        await street.says(AMBER, "STOP", "+12125550124")

        async def take(text: str) -> dict[str, object]:
            headers = {"X-API-Key": street.keys[AMBER], "Content-Type": "text/csv"}
            path = f"/shops/{AMBER}/consents/import?source=klaviyo"
            answer = await street.store.http.post(path, content=text.encode(), headers=headers)
            assert answer.status_code == 200, answer.text
            found: dict[str, object] = answer.json()
            return found

        first = await take(LIST)
        assert {name: first[name] for name in ("taken", "known", "silent", "opted_out", "bad_lines")} == {
            "taken": 2,
            "known": 0,
            "silent": 1,
            "opted_out": 1,
            "bad_lines": 2,
        }
        assert [(row["line"], row["field"]) for row in first["bad"]] == [(4, "phone"), (5, "state")]  # type: ignore[attr-defined]
        again = await take(LIST)
        assert (again["taken"], again["known"]) == (0, 2)
        [ada, ben] = await street.store.all(Consent)
        assert (ada.source, ada.wording, ada.at.isoformat()) == (
            "popup",
            "Yes I want texts",
            "2025-05-01T14:00:00+00:00",
        )
        assert (ben.source, ben.proof) == ("klaviyo", "file, line 3")
        assert [row.name for row in await street.store.all(Contractor)] == ["Ada", "Ben"]
        assert await street.campaign(AMBER, "sale") == {"sent": 1, "opted_out": 1}
        assert await street.campaign(BIRCH, "sale") == {"sent": 0}
        assert (await take(EXPORT))["taken"] == 3
        shown = [(one.channel, one.granted) for one in (await street.store.all(Consent))[2:]]
        assert shown == [("sms", False), ("email", True), ("sms", True)]


async def test_a_list_that_does_not_say_when_brings_nobody_back_who_took_consent_back(
    open_storefront: OpenStorefront, tmp_path: Path
) -> None:
    async with two_shops(open_storefront) as street:
        await street.ask("POST", AMBER, "/consents", {"address": ADA, "granted": False}, expect=201)
        file = tmp_path / "list.csv"
        file.write_text(f"phone,granted\n{ADA},yes\n+12125550124,yes\n")
        result = await street.app.consents.take_file(file, tenant=street.tenant(AMBER), name="list.csv")
        assert (result.taken, [str(row) for row in result.bad]) == (
            1,
            [
                f"line 2: at: {ADA} took consent back on 2026-11-20, and the line does not say when it was given; "
                "add the time"
            ],
        )
        file.write_text(f"phone,granted,at\n{ADA},yes,2026-11-01\n")
        assert (await street.app.consents.take_file(file, tenant=street.tenant(AMBER))).taken == 1
        assert await street.campaign(AMBER, "sale") == {"sent": 1, "consent_revoked": 1}, "the older word stays older"


@pytest.mark.both_databases
async def test_a_large_list_is_taken_a_portion_at_a_time(open_storefront: OpenStorefront, tmp_path: Path) -> None:
    async with two_shops(open_storefront) as street:
        file = tmp_path / "list.csv"
        lines = [f"+1{212 + number // 10_000}555{number % 10_000:04},yes" for number in range(1200)]
        file.write_text("\n".join(["phone,granted", *lines, "nobody,yes"]))
        result = await street.app.consents.take_file(file, tenant=street.tenant(AMBER))
        assert (result.taken, result.bad_lines) == (1200, 1)
        assert len(await street.store.all(ShopCustomer)) == 1200
        assert street.store.clock.now() == NOW
