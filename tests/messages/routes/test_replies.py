"""Replies over HTTP: page by page, by tenant and contact, and those that a person has to look at."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from messages.routes.api import PHONE, Api
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.tenants import add_tenant

UNSURE = "Please cancel"
"""It does not say what, so a person decides."""

pytestmark = pytest.mark.both_databases

_numbers = itertools.count(1)


async def hear(api: Api, text: str, sender: str = PHONE, **more: Any) -> int:
    given = {"provider": "n8n", "provider_message_id": f"in-{next(_numbers)}", "sender": sender, "text": text, **more}
    return (await api.app.inbound.receive_reply(IncomingReply(**given))).id


async def ids(api: Api, query: str = "") -> list[int]:
    return [row["id"] for row in (await api.good("GET", f"/replies{query}"))["replies"]]


async def test_replies_are_listed_page_by_page_newest_first(api: Api) -> None:
    known = [await hear(api, f"Nice talk {number}") for number in range(5)]
    seen: list[int] = []
    before = ""
    while True:
        page = await api.good("GET", f"/replies?limit=2{before}")
        seen += [row["id"] for row in page["replies"]]
        if page["before"] is None:
            break
        before = f"&before={page['before']}"
    assert seen == known[::-1]


async def test_replies_are_found_by_tenant_and_by_contact(api: Api) -> None:
    async with api.app.work.begin() as unit:
        await add_tenant(unit.session, "shop:7", "Corner Shop", api.app.clock.now())
    ada, _ = await api.app.events.create_contractor({"name": "Ada Abara", "phone": PHONE})
    mine, theirs = await hear(api, "Hello"), await hear(api, "Hello", "+12125550199", tenant="shop:7")
    assert await ids(api, "?tenant=installation") == [mine]
    assert await ids(api, "?tenant=shop:7") == [theirs]
    assert await ids(api, f"?contact={ada.id}") == [mine]
    assert await ids(api, f"?contact={ada.id}&tenant=shop:7") == []


async def test_unhappy_unsure_and_unreadable_ones_wait_for_a_person_until_one_has_looked(api: Api) -> None:
    await hear(api, "Great, thanks!")
    unhappy = await hear(api, "I hate this, it is horrible!")
    unsure = await hear(api, UNSURE, "+12125550124")
    unreadable = await hear(api, "STOP", "CustomerCare")
    await hear(api, "STOP", "+12125550125")
    assert await ids(api, "?needs=person") == [unreadable, unsure, unhappy]
    assert await ids(api, "?needs=person&tenant=installation") == [unreadable, unsure, unhappy]
    settled = await api.good("POST", f"/replies/{unhappy}/settled")
    assert (settled["needs_person"], settled["text"]) == (False, "I hate this, it is horrible!")
    [opt_out] = (await api.good("GET", "/opt-outs?unsure=true"))["opt_outs"]
    await api.good("POST", f"/opt-outs/{opt_out['id']}/decision", {"stop": True})
    assert await ids(api, "?needs=person") == [unreadable]
    assert (await api("POST", "/replies/999/settled"))[0] == 404


async def test_what_is_no_filter_is_refused(api: Api) -> None:
    for query in ("?needs=nobody", "?tenant=shop", "?contact=0", "?limit=0", "?sender=x"):
        assert (await api("GET", f"/replies{query}"))[0] == 422
