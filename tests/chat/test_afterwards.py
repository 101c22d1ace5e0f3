"""What comes late, is edited or deleted afterwards, or asks nothing: answered as it stands, once, or not at all."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import timedelta
from typing import Any

import pytest

from chat.providers import Provider, signed, text_event, webhook
from chat.support import NUMBER, Chats, OpenChats
from chat.test_turns import Model, make_answer
from support.app import client_of, run_job
from support.cases import every_case
from tidings.clock import SystemClock
from tidings.features.chat.jobs import INCOMING_MESSAGE, IncomingMessageJob
from tidings.features.chat.models import ChatMessage, Conversation, Role, UsageLog
from tidings.features.chat.rules.window import is_late, read_moment

_ids = itertools.count(1)


def edit(of: str, text: str) -> dict[str, Any]:
    told = {"type": "text", "text": {"body": text}}
    return {
        **text_event("", f"wamid.edit{next(_ids)}"),
        "type": "edit",
        "edit": {"original_message_id": of, "message": told},
    }


def revoke(of: str) -> dict[str, Any]:
    return {
        **text_event("", f"wamid.revoke{next(_ids)}"),
        "type": "revoke",
        "revoke": {"original_message_id": of},
    }


def reaction(emoji: str | None, to: str = "wamid.out1") -> dict[str, Any]:
    given = {"message_id": to, **({"emoji": emoji} if emoji else {})}
    return {**text_event("", f"wamid.reaction{next(_ids)}"), "type": "reaction", "reaction": given}


async def tell(chats: Chats, *events: dict[str, Any]) -> dict[str, int]:
    body = webhook(messages=list(events))
    async with client_of(chats.app) as client:
        answer = await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
    assert answer.status_code == 200, answer.text
    taken: dict[str, int] = answer.json()
    return taken


async def take_in(chats: Chats) -> list[object]:
    """Takes in whatever is stored."""
    rows = await chats.rows(ChatMessage, status="received")
    return [await run_job(chats.app, INCOMING_MESSAGE, IncomingMessageJob(id=row.id)) for row in rows]


@pytest.mark.both_databases
async def test_an_edited_question_is_answered_as_it_stands_now(open_chats: OpenChats) -> None:
    model = Model()
    chats = await open_chats(model=model)
    await chats.cloud_account(await chats.chatbot())
    await tell(chats, text_event("Where is order 17?", "wamid.1"))
    await take_in(chats)
    making = asyncio.create_task(make_answer(chats, 1, 1))
    await model.is_asked(1)
    change = edit("wamid.1", "Where is order 71?")
    assert (await tell(chats, change))["messages"] == 1
    model.let(0)
    assert await making == "the answer was dropped: a newer message has come"
    assert await take_in(chats) == ["to be answered as turn 2"]
    making = asyncio.create_task(make_answer(chats, 1, 2))
    await model.is_asked(2)
    model.let(1)
    assert await making == "answered by openai"
    assert [one["content"] for one in model.asked[1][1:]] == ["Where is order 71?"]
    await tell(chats, change)  # Meta says everything twice
    assert [row.content for row in await chats.messages(Role.USER)] == ["Where is order 71?"]
    assert (await chats.conversation(1)).answer_due is None
    assert [row.kind for row in await chats.rows(UsageLog)].count("message") == 1


async def test_an_edit_of_what_is_answered_or_unknown_is_a_message_like_others(open_chats: OpenChats) -> None:
    model = Model()
    chats = await open_chats(model=model)
    await chats.cloud_account(await chats.chatbot())
    await tell(chats, text_event("Where is order 17?", "wamid.1"))
    await take_in(chats)
    making = asyncio.create_task(make_answer(chats, 1, 1))
    await model.is_asked(1)
    model.let(0)
    await making
    change = edit("wamid.1", "Where is order 71?")
    for _ in range(2):
        await tell(chats, change)
    await tell(chats, edit("wamid.unknown", "And 72?"))
    texts = [row.content for row in await chats.messages(Role.USER)]
    assert texts == ["Where is order 17?", "Where is order 71?", "And 72?"]
    assert (await chats.conversation(1)).turn == 3


async def test_an_edit_to_stop_is_obeyed(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot(keywords=True))
    await tell(chats, text_event("Stpo", "wamid.1"))
    await tell(chats, edit("wamid.1", "STOP"))
    assert await take_in(chats) == ["carried out: stop"]


@pytest.mark.both_databases
async def test_a_deleted_question_is_not_answered_and_no_word_of_it_is_kept(open_chats: OpenChats) -> None:
    model = Model()
    chats = await open_chats(model=model)
    await chats.cloud_account(await chats.chatbot())
    await tell(chats, text_event("My card is 4111", "wamid.1"))
    await take_in(chats)
    making = asyncio.create_task(make_answer(chats, 1, 1))
    await model.is_asked(1)
    gone = revoke("wamid.1")
    await tell(chats, gone)
    await tell(chats, gone)
    model.let(0)
    assert (await making).startswith("the answer was dropped")
    conversation = await chats.conversation(1)
    assert conversation.answer_due is None
    assert conversation.answered_turn == conversation.turn
    [row] = await chats.rows(ChatMessage)
    assert row.content == "[message deleted]"
    assert "4111" not in str(row.details)


async def test_what_is_left_when_one_of_two_messages_is_deleted_is_answered(open_chats: OpenChats) -> None:
    model = Model()
    chats = await open_chats(model=model)
    await chats.cloud_account(await chats.chatbot())
    await tell(chats, text_event("When are you open?", "wamid.1"), text_event("asdf", "wamid.2"))
    await take_in(chats)
    await tell(chats, revoke("wamid.2"), revoke("wamid.unknown"))
    conversation = await chats.conversation(1)
    making = asyncio.create_task(make_answer(chats, 1, conversation.turn))
    await model.is_asked(1)
    model.let(0)
    assert await making == "answered by openai"
    assert "When are you open?" in [one["content"] for one in model.asked[0]]


async def test_a_reaction_begins_no_answer_and_is_seen_with_the_next_question(open_chats: OpenChats) -> None:
    model = Model()
    chats = await open_chats(model=model)
    await chats.cloud_account(await chats.chatbot())
    await tell(chats, text_event("When are you open?", "wamid.1"))
    await take_in(chats)
    making = asyncio.create_task(make_answer(chats, 1, 1))
    await model.is_asked(1)
    await tell(chats, reaction("👍"), reaction(None))
    model.let(0)
    assert await making == "answered by openai"  # it disturbs nothing
    assert (await chats.conversation(1)).answer_due is None
    await tell(chats, text_event("And on Sunday?", "wamid.2"))
    making = asyncio.create_task(make_answer(chats, 1, 2))
    await model.is_asked(2)
    model.let(1)
    await making
    said = [one["content"] for one in model.asked[1][1:]]
    assert said == ["When are you open?", "[reaction 👍]", "answer 0", "And on Sunday?"]


HOUR = timedelta(hours=1)


@every_case(
    ("age", "late"),
    [
        (timedelta(0), False),
        (3 * HOUR, False),
        (23 * HOUR, False),
        (24 * HOUR, True),
        (48 * HOUR, True),
        (6 * 24 * HOUR, True),
        (8 * 24 * HOUR, False),  # no provider repeats for so long: the time is wrong
        (400 * 24 * HOUR, False),
        (-HOUR, False),
    ],
)
def test_what_is_a_day_old_is_late_and_what_cannot_be_true_is_new(age: timedelta, late: bool) -> None:
    now = SystemClock().now()
    assert is_late(read_moment(now - age, now), now) == late
    assert not is_late(read_moment(None, now), now)


@pytest.mark.parametrize(("hours", "answered"), [(3, True), (30, False)])
async def test_after_an_outage_what_is_hours_old_is_answered_and_what_is_days_old_is_left_to_a_person(
    open_chats: OpenChats, hours: int, answered: bool
) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.shop()
        await chats.cloud_account(bot)
        await chats.endpoint(bot, "http://127.0.0.1:9/hook")
        at = str(int(time.time()) - hours * 3600)
        await tell(chats, {**text_event("When are you open?", "wamid.1"), "timestamp": at})
        said = await take_in(chats)
        assert said == ["to be answered as turn 1" if answered else "not to be answered"]
        [conversation] = await chats.rows(Conversation)
        assert abs(conversation.last_user_message_at.timestamp() - int(at)) < 1
        [told] = await chats.events("message.received")
        assert ("written_at" in told.payload["data"]) == (not answered)
        await chats.start()
        if answered:
            await graph.has(1)
        await tell(chats, text_event("When are you open?", "wamid.2"))
        await graph.has(2 if answered else 1)
