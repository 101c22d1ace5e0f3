"""The widget over its socket: whatever a visitor writes is kept, and whatever is for a visitor is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from chat.page import Page
from chat.support import Chats, OpenChats
from support.app import ledger
from tidings.engine.broadcast import Broadcast
from tidings.features.chat.models import ChatMessage
from tidings.features.chat.widget.socket import BURST, MAX_TEXT


@pytest.fixture
async def chats(chats: Chats) -> AsyncIterator[Chats]:
    """An application that serves the widget, with workers."""
    await chats.start()
    async with chats.served():
        yield chats


@pytest.fixture
async def local(local: Chats) -> AsyncIterator[Chats]:
    """The same without workers on SQLite, for what does not depend on the database."""
    async with local.served():
        yield local


async def test_a_question_is_acknowledged_and_its_answer_appears(chats: Chats) -> None:
    chatbot = await chats.shop(debounce=0.5)  # an answer that is there at once ends no typing
    async with chats.page(chatbot) as page:
        ready = await page.hear("ready")
        assert (ready["messages"], ready["typing"]) == ([], False)
        taken = await page.ask("When are you open?")
        assert (await page.hear("typing"))["on"] is True
        answer = await page.hear_answer()
        assert (await page.hear("typing"))["on"] is False
    assert "9 am to 6 pm" in answer["text"]
    question, stored = await chats.rows(ChatMessage)
    assert (question.id, question.content) == (taken["id"], "When are you open?")
    assert (stored.id, stored.role) == (answer["id"], "assistant")


async def test_a_message_is_delivered_when_a_page_has_it_and_read_when_it_shows_it(chats: Chats) -> None:
    chatbot = await chats.shop()
    await chats.endpoint(chatbot, "http://127.0.0.1:9/")
    async with chats.page(chatbot) as page:
        await page.ask("How long does delivery take?")
        answer = await page.hear_answer()
        await chats.delivered(answer["id"], "DELIVERED")
        for _ in range(2):
            await page.say(type="read", ids=[answer["id"]])
        await chats.delivered(answer["id"], "READ")
        await page.say(type="delivered", ids=[answer["id"]])
        await page.say(type="ping")
        await page.hear("pong")
    assert (await chats.message(answer["id"])).delivery_status == "READ"
    [line] = await ledger(chats.app, "chat-message", answer["id"])
    assert (line.delivery_status, line.provider) == ("READ", "widget")
    for event in ("message.received", "message.sent", "message.delivered", "message.read"):
        assert len(await chats.events(event)) == 1, event


async def test_an_answer_that_another_process_sends_is_pushed_to_the_page(open_chats: OpenChats) -> None:
    serving = await open_chats()
    working = await open_chats(redis_prefix=serving.prefix)
    await working.start()
    chatbot = await serving.shop()
    async with serving.served(), serving.page(chatbot) as page:
        await page.ask("Can I return it?")
        assert "30 days" in (await page.hear_answer())["text"]


@pytest.mark.both_databases
async def test_a_message_that_is_sent_twice_is_stored_once_and_acknowledged_twice(chats: Chats) -> None:
    await chats.app.stop_workers()
    chatbot = await chats.shop()
    async with chats.page(chatbot) as page:
        first, second = await page.ask("Hello?", "client-0001"), await page.ask("Hello?", "client-0001")
    async with chats.page(chatbot, visitor=page.visitor) as again:
        third = await again.ask("Hello?", "client-0001")
    assert first == second == third
    assert len(await chats.rows(ChatMessage)) == 1


async def test_what_was_missed_is_shown_when_the_page_comes_back(chats: Chats) -> None:
    chatbot = await chats.shop()
    async with chats.page(chatbot) as page:
        taken = await page.ask("When are you open?")
    async with chats.page(chatbot, visitor=page.visitor, after=taken["id"]) as back:
        answer = await back.hear_answer()
        assert "9 am" in answer["text"]
        while (await chats.message(answer["id"])).status != "sent":
            await asyncio.sleep(0.01)
    async with chats.page(chatbot, visitor=page.visitor) as reloaded:
        shown = (await reloaded.hear("ready"))["messages"]
    assert [message["role"] for message in shown] == ["user", "assistant"]
    assert shown[0]["client_id"]


async def test_a_push_that_nobody_heard_is_made_good_by_looking_again(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats.chat.widget.look_again = 0.1

    async def lost(broadcast: Broadcast, topic: str, text: str) -> None:
        """As Redis does when the line is broken."""

    monkeypatch.setattr(Broadcast, "publish", lost)
    chatbot = await chats.shop()
    async with chats.page(chatbot) as page:
        await page.ask("When are you open?")
        assert "9 am" in (await page.hear_answer())["text"]


async def test_two_pages_of_one_visitor_show_the_same(chats: Chats) -> None:
    chatbot = await chats.shop()
    async with chats.page(chatbot) as one, chats.page(chatbot, visitor=one.visitor) as other:
        await one.hear("ready")
        await other.hear("ready")
        await one.ask("Can I return it?", "client-0001")
        [question] = (await other.hear("message", "missed"))["messages"]
        assert (question["role"], question["client_id"]) == ("user", "client-0001")
        assert (await one.hear_answer())["id"] == (await other.hear_answer())["id"]


async def test_a_person_who_takes_over_writes_to_the_page_and_the_bot_is_silent(chats: Chats) -> None:
    chatbot = await chats.shop(human_takeover=True)
    async with chats.page(chatbot) as page:
        await page.ask("Is anybody there?")
        question = (await chats.rows(ChatMessage))[0]
        await chats.reply(chatbot, question.conversation_id, "Yes, Ada here.", author="Ada")
        answer = await page.hear_answer()
    assert (answer["role"], answer["text"]) == ("human", "Yes, Ada here.")
    assert {"type": "typing", "on": True} not in page.frames


async def test_a_visitor_sees_and_marks_only_messages_of_their_own(chats: Chats) -> None:
    chatbot, neighbour = await chats.shop(), await chats.shop()
    async with chats.page(chatbot) as page:
        await page.ask("When are you open?")
        answer = await page.hear_answer()
        await chats.delivered(answer["id"], "DELIVERED")
    for bot, visitor in ((chatbot, None), (neighbour, page.visitor)):
        async with chats.page(bot, visitor=visitor, after=answer["id"]) as stranger:
            assert (await stranger.hear("ready"))["messages"] == []
            await stranger.say(type="read", ids=[answer["id"]])
            await stranger.say(type="ping")
            await stranger.hear("pong")
    assert (await chats.message(answer["id"])).delivery_status == "DELIVERED"


async def test_what_cannot_be_taken_is_refused_with_a_sentence_and_the_chat_goes_on(local: Chats) -> None:
    chatbot = await local.shop()
    async with local.page(chatbot) as page:
        assert "4,000 characters" in (await page.ask("x" * (MAX_TEXT + 1)))["why"]
        assert "nothing" in (await page.ask("   "))["why"]
        for garbage in ("{", "[]", '{"type": "bomb"}', '{"type": "message", "client_id": "x", "text": "y"}'):
            await page.socket.send(garbage)
            assert (await page.hear("refused"))["again"] is False
        assert (await page.ask("NUL \0 here"))["type"] == "refused"
        taken = [await page.ask(f"message {number}") for number in range(BURST + 1)]
    assert [frame["type"] for frame in taken] == ["taken"] * BURST + ["refused"]
    assert taken[-1]["again"] is True


async def test_a_page_that_floods_is_cut_off(local: Chats) -> None:
    chatbot = await local.shop()
    async with local.page(chatbot) as page:
        await page.socket.send("x" * 40_000)
        assert await page.end() == 1009
    async with local.page(chatbot) as page:
        for _ in range(200):
            await page.say(type="ping")
        assert await page.end() == 1008


async def test_strangers_are_refused_before_the_connection_is_made(local: Chats) -> None:
    chatbot = await local.shop(allowed_origins=["https://shop.example"])
    refused = [
        local.page(chatbot, visitor="short"),
        local.page(chatbot, visitor="with/slashes/in/the/visitor"),
        local.page(chatbot, origin="https://evil.example"),
        local.page(chatbot, origin=None),
        Page(local.origin, "nobodys-key"),
    ]
    for page in refused:
        with pytest.raises(InvalidStatus) as answer:
            await page.__aenter__()
        assert answer.value.response.status_code == 403
    for origin in ("https://shop.example", local.origin):
        async with local.page(chatbot, origin=origin) as page:
            await page.hear("ready")


async def test_one_visitor_cannot_take_all_places(local: Chats) -> None:
    chatbot = await local.shop()
    async with AsyncExitStack() as stack:
        visitor = "v" * 16
        pages = [await stack.enter_async_context(local.page(chatbot, visitor=visitor)) for _ in range(10)]
        with pytest.raises(InvalidStatus):
            await local.page(chatbot, visitor=visitor).__aenter__()
        await pages[0].socket.close()
        async with local.page(chatbot) as other:
            await other.hear("ready")


async def test_the_page_loads_nothing_from_elsewhere_and_its_words_are_escaped(local: Chats) -> None:
    look = {"title": "<b>Shop</b>", "greeting": 'Say "hi" & <script>', "color": "#0b6e4f"}
    chatbot = await local.shop(widget=look, allowed_origins=["https://shop.example"])
    async with httpx.AsyncClient(base_url=local.origin, timeout=30) as http:
        page = await http.get(f"/widget/{chatbot.widget_key}")
        script = await http.get(f"/widget/{chatbot.widget_key}/embed.js")
        unknown = await http.get("/widget/nobodys-key")
    policy = page.headers["content-security-policy"]
    assert (page.status_code, script.status_code, unknown.status_code) == (200, 200, 404)
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self' https://shop.example" in policy
    assert "&lt;b&gt;Shop&lt;/b&gt;" in page.text
    assert "<script>" not in page.text.split("<script>", 1)[0]
    assert "Say &quot;hi&quot; &amp; &lt;script&gt;" in page.text
    assert not [word for word in ("src=", "@import", "url(", "<link") if word in page.text]
    assert script.headers["content-type"].startswith("text/javascript")
