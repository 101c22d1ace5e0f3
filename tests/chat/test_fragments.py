"""Fragments of one thought get one answer: it waits for the pause, also while somebody types, and not for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chat.support import Chats, OpenChats
from support.app import client_of, run_job
from support.workshop import eventually
from tidings.clock import ManualClock
from tidings.features.chat.jobs import INCOMING_MESSAGE, IncomingMessageJob
from tidings.features.chat.models import Conversation
from tidings.features.chat.rules.turns import LONGEST

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)
VISITOR = "visitor-of-this-test"


async def write(chats: Chats, bot: Any, text: str) -> Any:
    stored = await chats.write(bot, text, channel="widget", external_user_id=VISITOR, via=None)
    await run_job(chats.app, INCOMING_MESSAGE, IncomingMessageJob(id=stored.message_id))
    return stored


async def due(chats: Chats, conversation_id: int) -> float:
    """Seconds after NOW at which the answer is due."""
    conversation = await chats.conversation(conversation_id)
    assert conversation.answer_due is not None
    return (conversation.answer_due - NOW).total_seconds()


async def test_a_new_chatbot_waits_three_seconds_for_the_next_fragment(chats: Chats) -> None:
    customer = await chats.chat.accounts.create_customer({"name": "Acme"})
    async with client_of(chats.app) as client:
        made = await client.post("/chat/chatbots", json={"customer_id": customer.id, "name": "Support"})
    assert made.json()["debounce"] == 3.0


@pytest.mark.both_databases
async def test_an_answer_waits_while_the_visitor_is_typing_and_at_most_fifteen_seconds(open_chats: OpenChats) -> None:
    clock = ManualClock(NOW)
    chats = await open_chats(clock=clock)
    bot = await chats.chatbot(debounce=3.0)
    assert not await chats.chat.widget.note_typing(bot.id, VISITOR)  # nothing was written yet
    stored = await write(chats, bot, "Hi")
    dues = [await due(chats, stored.conversation_id)]
    for _ in range(8):
        clock.move(timedelta(seconds=2))
        if await chats.chat.widget.note_typing(bot.id, VISITOR):
            seconds = await chats.seconds_until("ai-processing", f"chat-answer-{stored.conversation_id}-1")
            left = await due(chats, stored.conversation_id) - (clock.now() - NOW).total_seconds()
            assert seconds == pytest.approx(left, abs=0.5)
        dues.append(await due(chats, stored.conversation_id))
    assert dues == pytest.approx([3, 5, 7, 9, 11, 13, LONGEST, LONGEST, LONGEST])


async def test_whom_a_person_answers_or_nobody_owes_an_answer_may_type_for_ever(open_chats: OpenChats) -> None:
    chats = await open_chats(clock=ManualClock(NOW))
    bot = await chats.chatbot(debounce=3.0)
    stored = await write(chats, bot, "Hi")
    await chats.chat.conversations.take_over(bot.id, stored.conversation_id, "Ben")
    assert not await chats.chat.widget.note_typing(bot.id, VISITOR)
    assert (await chats.conversation(stored.conversation_id)).answer_due is None


async def test_a_page_says_that_somebody_is_typing(local: Chats) -> None:
    bot = await local.chatbot(debounce=3.0)
    async with local.served(), local.page(bot) as page:
        await page.hear("ready")
        await page.ask("Hi")
        [before] = await local.rows(Conversation)

        async def put_off() -> bool:
            await page.say(type="typing")
            await page.say(type="ping")
            await page.hear("pong")
            [after] = await local.rows(Conversation)
            return bool(after.answer_due > before.answer_due)

        await eventually(put_off)
        assert (await page.ask("there"))["type"] == "taken"  # a page that types a lot may still write
