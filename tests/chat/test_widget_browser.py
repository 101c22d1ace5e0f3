"""The widget in a real browser: what a visitor sees, also when the server goes away and comes back."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat.browser import Browser, Tab, web_site
from chat.support import Chats
from support.servers import free_port
from support.workshop import eventually
from tidings.features.chat.models import ChatMessage, Conversation

BUBBLES = "[...document.querySelectorAll('.row:not(#typing) .bubble')].map(bubble => bubble.innerText)"
STATE = "document.getElementById('state')?.textContent"
ONLINE = f"{STATE} === 'Online'"


async def keep(name: str, tab: Tab) -> None:
    """Pictures are for people: they are taken where WIDGET_PICTURES says."""
    if folder := os.environ.get("WIDGET_PICTURES"):
        (Path(folder) / f"{name}.png").write_bytes(await tab.picture())


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One for all; each page that it opens knows nothing of the others."""
    async with Browser.started() as browser:
        yield browser


@pytest.fixture
async def working(local: Chats) -> Chats:
    """An application on SQLite with workers, whose widget is not served yet."""
    await local.start()
    return local


@pytest.fixture
async def chats(working: Chats) -> AsyncIterator[Chats]:
    """The same, served."""
    async with working.served():
        yield working


async def test_a_visitor_asks_loses_the_server_and_sees_what_was_missed(browser: Browser, working: Chats) -> None:
    chatbot, port = await working.shop(), free_port()
    async with working.served(port) as origin:
        tab = await browser.open(f"{origin}/widget/{chatbot.widget_key}")
        await tab.sees(ONLINE)
        await tab.write("When are you open?")
        await tab.sees(f"{BUBBLES}.some(text => text.includes('9 am to 6 pm'))")
        question, answer = await working.rows(ChatMessage)
        await working.delivered(answer.id, "READ")

    await tab.sees(f"{STATE} === 'Reconnecting…'")
    # While the server is away a person writes, and the visitor does, too.
    await working.reply(chatbot, question.conversation_id, "We look forward to your visit.", author="Ada")
    await working.answers(2)
    await tab.write("Can I return it?")
    await tab.sees("document.querySelector('.waiting .note').textContent === 'Sending…'")

    async with working.served(port):
        await tab.sees(f"{ONLINE} && {BUBBLES}.some(text => text.includes('look forward'))")
        await tab.sees(f"{BUBBLES}.some(text => text.includes('30 days'))")
        texts = await tab.look(BUBBLES)
        for words in ("look forward", "Can I return it?", "30 days"):
            assert sum(words in text for text in texts) == 1, words
        assert await tab.look("document.querySelectorAll('.waiting').length") == 0
        roles = [row.role for row in await working.rows(ChatMessage)]
        assert roles == ["user", "assistant", "human", "user", "assistant"]
        await keep("widget", tab)

        await tab.call("Page.reload")
        await tab.sees(f"{ONLINE} && {BUBBLES}.length === {len(texts)}")


async def test_words_of_visitors_and_answers_are_never_markup(browser: Browser, chats: Chats) -> None:
    chatbot = await chats.shop(human_takeover=True)
    tab = await browser.open(f"{chats.origin}/widget/{chatbot.widget_key}", dark=True)
    await tab.sees(ONLINE)
    await tab.write("<img src=x onerror=alert(1)>")
    await tab.sees("document.querySelector('.user:not(.waiting)')")
    [question] = await chats.rows(ChatMessage)
    await chats.reply(chatbot, question.conversation_id, "See <b>https://shop.example/a?b=1</b>.", author="Ada")
    link = await tab.sees("document.querySelector('.assistant a') && document.querySelector('.assistant a').href")
    assert link == "https://shop.example/a?b=1"
    await keep("dark", tab)
    assert await tab.look("document.querySelectorAll('#log img, #log b, #log script').length") == 0


async def test_another_page_holds_the_chat_behind_a_button(browser: Browser, chats: Chats) -> None:
    chatbot = await chats.shop()
    script = f'<script src="{chats.origin}/widget/{chatbot.widget_key}/embed.js" data-color="#0b6e4f"></script>'
    async with web_site(f"<!doctype html><title>Shop</title><h1>Corner Shop</h1>{script}") as shop:
        await chats.chat.accounts.change_chatbot(
            chatbot.id, {"allowed_origins": [shop], "widget": {"color": "#0b6e4f"}}
        )
        tab = await browser.open(shop, width=1000, height=760)
        frame = "document.querySelector('iframe')"
        await tab.sees(f"{frame} && {frame}.style.display === 'none'")
        await tab.look("document.querySelector('button').click()")
        assert await tab.look(f"{frame}.style.display") == "block"
        assert await tab.look("document.querySelector('button').getAttribute('aria-label')") == "Close the chat"
        inside = await tab.frame_of(chats.origin)
        await inside.sees(ONLINE)
        await inside.look("document.getElementById('text').focus()")
        await inside.write("How long does delivery take?")
        await inside.sees(f"{BUBBLES}.some(text => text.includes('two working days'))")
        await keep("embedded", tab)


async def test_a_page_that_the_chatbot_does_not_allow_cannot_hold_the_chat(browser: Browser, chats: Chats) -> None:
    chatbot = await chats.shop(allowed_origins=["https://shop.example"])
    address = f"{chats.origin}/widget/{chatbot.widget_key}"
    async with web_site(f'<!doctype html><iframe src="{address}"></iframe>') as stranger:
        tab = await browser.open(stranger)
        await tab.complains("frame-ancestors")


async def test_a_visitor_who_goes_on_typing_is_not_answered_in_between(browser: Browser, local: Chats) -> None:
    chatbot = await local.shop(debounce=8.0)
    async with local.served() as origin:
        tab = await browser.open(f"{origin}/widget/{chatbot.widget_key}")
        await tab.sees(ONLINE)
        await tab.write("When are you")

        async def asked() -> list[Conversation]:
            return await local.rows(Conversation)

        [before] = await eventually(asked)
        await tab.look(
            "const field = document.getElementById('text'); field.value = 'ope'; "
            "field.dispatchEvent(new Event('input', {bubbles: true}))"
        )

        async def put_off() -> bool:
            [after] = await local.rows(Conversation)
            return bool(after.answer_due > before.answer_due)

        await eventually(put_off)
