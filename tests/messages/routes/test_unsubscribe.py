"""Whoever reads a promotional mail may end such mails with one click, and only those of who wrote it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    MAIL,
    NOON,
    OpenApp,
    Provider,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from support.app import deliver
from tidings.app import App
from tidings.clock import ManualClock
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.statuses import Reason
from tidings.messages.tenants import add_tenant
from tidings.providers.base import Outgoing, Receipt
from tidings.vault import Vault

PUBLIC = "https://messages.example.com"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
SKIPPED = f"skipped: {Reason.OPTED_OUT.sentence}"


class Post(Provider):
    """Keeps the mails as they are handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Outgoing] = []

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.taken.append(outgoing)
        return await super().send(outgoing)


class Reader:
    """An application, a person who gets its mails, and what the person's programs do with the addresses in them."""

    def __init__(self, app: App, http: httpx.AsyncClient, post: Post, person: int) -> None:
        self.app, self.http, self.post, self.person = app, http, post, person

    async def mail(self, **more: Any) -> Any:
        """What becomes of a promotional mail."""
        row = await follow_up_to(self.app, self.person, channel="email", **more)
        return await outcome_of(self.app, FOLLOW_UP, row.id)

    async def link(self) -> str:
        """The path of the address in a new mail."""
        assert await self.mail() == "sent"
        link = self.post.taken[-1].unsubscribe
        assert link is not None
        assert link.startswith(f"{PUBLIC}/unsubscribe/")
        return link.removeprefix(PUBLIC)

    async def opt_outs(self) -> list[OptOut]:
        async with self.app.work.read() as session:
            return list(await session.scalars(select(OptOut).order_by(OptOut.id)))


@pytest.fixture
async def reader(open_app: OpenApp, database_url: str) -> AsyncIterator[Reader]:
    post = Post()
    app = await open_app(
        database_url=database_url,
        clock=ManualClock(NOON),
        providers={"email": post},
        public_url=f"{PUBLIC}/",
        api_key="a-key-that-no-reader-has",
        brand="Acme & Sons",
        support="help@acme.example",
        frequency_caps="off",
    )
    transport = httpx.ASGITransport(app.http())
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as http:
        yield Reader(app, http, post, await person_of(app))


async def test_one_click_ends_promotional_mail_and_nothing_else(reader: Reader) -> None:
    link = await reader.link()
    answer = await reader.http.post(link, data=ONE_CLICK)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert await reader.mail() == SKIPPED
    other = await message_to(reader.app, reader.person, channel="email")
    assert await outcome_of(reader.app, EVENT_MESSAGE, other.id) == "sent"
    sms = await follow_up_to(reader.app, reader.person)
    assert await outcome_of(reader.app, FOLLOW_UP, sms.id) == "sent"
    [row] = await reader.opt_outs()
    assert (row.tenant, row.channel, row.address, row.stops) == ("installation", "email", MAIL, "promotional")
    assert (row.door, row.source, row.contact_id) == ("unsubscribe", "unsubscribe", reader.person)


async def test_a_scanner_that_fetches_the_address_changes_nothing(reader: Reader) -> None:
    link = await reader.link()
    for _ in range(3):
        page = await reader.http.get(f"{link}?utm_source=scanner")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert await reader.opt_outs() == []
    assert await reader.mail() == "sent"


@pytest.mark.both_databases
async def test_a_program_that_clicks_many_times_at_once_unsubscribes_once(reader: Reader) -> None:
    link = await reader.link()
    answers = await asyncio.gather(*(reader.http.post(link, data=ONE_CLICK) for _ in range(8)))
    assert {one.status_code for one in answers} == {200}
    assert len(await reader.opt_outs()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"data": ONE_CLICK},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b"List-Unsubscribe=One-Click"},
        {"content": b""},
    ],
    ids=["form", "multipart form", "form without its type", "nothing"],
)
async def test_a_click_counts_however_a_program_writes_it(reader: Reader, body: dict[str, Any]) -> None:
    assert (await reader.http.post(await reader.link(), **body)).status_code == 200
    assert await reader.mail() == SKIPPED


async def test_the_page_speaks_in_the_tenants_name_and_its_buttons_work_without_scripts(reader: Reader) -> None:
    link = await reader.link()
    asked = await reader.http.get(link)
    assert "Acme &amp; Sons" in asked.text
    assert "help@acme.example" in asked.text
    assert "<script" not in asked.text
    assert "default-src 'none'" in asked.headers["content-security-policy"]
    assert asked.headers["referrer-policy"] == "no-referrer"
    done = await _press(reader, asked)
    assert "You are unsubscribed" in done.text
    assert "You are unsubscribed" in (await reader.http.get(link)).text
    assert await reader.mail() == SKIPPED
    undone = await _press(reader, done)
    assert "You are subscribed again" in undone.text
    assert await reader.mail() == "sent"
    assert "You are unsubscribed" in (await _press(reader, undone)).text
    assert await reader.mail() == SKIPPED


async def _press(reader: Reader, page: httpx.Response) -> httpx.Response:
    """Presses the one button of a page, as a browser does."""
    [form] = re.findall(r'<form method="post"(?: action="([^"]*)")?>', page.text)
    assert page.text.count("<button") == 1
    answer = await reader.http.post(page.url.join(form) if form else page.url, data=ONE_CLICK)
    assert answer.status_code == 200
    return answer


async def test_undoing_ends_nothing_that_was_said_elsewhere(reader: Reader) -> None:
    link = await reader.link()
    await reader.http.post(link)
    await reader.app.inbound.receive_reply(IncomingReply("n8n", "in-1", MAIL, "STOP", channel="email"))
    undone = await reader.http.post(f"{link}/undo")
    assert (undone.status_code, "another way" in undone.text) == (200, True)
    assert await reader.mail() == SKIPPED
    assert [row.source for row in await reader.opt_outs() if row.ended_at is None] == ["reply"]


async def test_a_click_outlives_a_start_that_ends_a_stop_said_before_it(reader: Reader) -> None:
    link = await reader.link()
    for number, text in enumerate(("STOP", None, "START")):
        if text is None:
            await reader.http.post(link)
        else:
            reply = IncomingReply("n8n", f"in-{number}", MAIL, text, channel="email")
            await reader.app.inbound.receive_reply(reply)
    assert await reader.mail() == SKIPPED
    await reader.http.post(f"{link}/undo")
    assert await reader.mail() == "sent"


async def test_an_address_is_of_one_tenant_and_one_mail_address_and_cannot_be_guessed_or_changed(
    reader: Reader,
) -> None:
    links = reader.app.parts.links
    async with reader.app.work.begin() as unit:
        await add_tenant(unit.session, "shop:7", "Corner Shop", NOON)
    page = await reader.http.post(f"/unsubscribe/{links.token('shop:7', MAIL)}")
    assert "Corner Shop" in page.text
    assert await reader.mail() == "sent"  # that shop's mail is what ended
    good = links.token("installation", MAIL)
    for wrong in ("", "installation", good[:-4], good[:-8] + "AAAAAAA=", good.replace("v1", "v2"), "é" * 30):
        answer = await reader.http.post(f"/unsubscribe/{wrong or 'x'}")
        assert (answer.status_code, "does not work" in answer.text) == (404, True)
    assert len(await reader.opt_outs()) == 1


async def test_an_address_works_for_as_long_as_its_key_is_kept(open_app: OpenApp, database_url: str) -> None:
    old, new = Vault.generate(), Vault.generate()
    app = await open_app(database_url=database_url, vault_key=old, public_url=PUBLIC)
    token = app.parts.links.token("installation", MAIL)
    app = await open_app(database_url=database_url, vault_key=f"{new},{old}", public_url=PUBLIC)
    assert app.parts.links.read(token) == ("installation", MAIL)


async def test_where_one_brand_stands_behind_all_a_click_counts_for_all_and_can_be_undone(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url, public_url=PUBLIC, opt_outs="installation")
    person = await person_of(app)
    path = f"/unsubscribe/{app.parts.links.token('installation', MAIL)}"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.http()), base_url=PUBLIC) as http:
        for verb, outcome in (("", SKIPPED), ("/undo", "sent")):
            assert (await http.post(path + verb)).status_code == 200
            row = await follow_up_to(app, person)
            assert await outcome_of(app, FOLLOW_UP, row.id) == outcome


@pytest.mark.parametrize("public_url", [None, "http://messages.example.com"])
async def test_without_an_https_address_of_ours_a_mail_goes_out_without_one(
    open_app: OpenApp, public_url: str | None
) -> None:
    post = Post()
    app = await open_app(providers={"email": post, "sms": post}, public_url=public_url, clock=ManualClock(NOON))
    row = await follow_up_to(app, await person_of(app), channel="email")
    assert await deliver(app, FOLLOW_UP, row.id) == "sent"
    assert [one.unsubscribe for one in post.taken] == [None]


async def test_only_promotional_mails_have_such_an_address(reader: Reader) -> None:
    app = reader.app
    for kind, row in (
        (EVENT_MESSAGE, await message_to(app, reader.person, channel="email")),
        (FOLLOW_UP, await follow_up_to(app, reader.person)),
    ):
        assert await outcome_of(app, kind, row.id) == "sent"
    assert [one.unsubscribe for one in reader.post.taken] == [None]
    assert "unsubscribe" not in app.simulator.messages[-1].metadata
    links = app.parts.links
    async with app.work.database.reader.connect() as connection:
        kind = app.kinds[FOLLOW_UP]
        rows = await connection.execute(kind.loaded)
        [message] = await kind.load(connection, [dict(one) for one in rows.mappings()])
    assert links.link_for(replace(message, channel="email", address=MAIL)) is not None
    assert links.link_for(replace(message, channel="email", address=None)) is None
