"""One person has one conversation, whichever of phone number and user ID WhatsApp names them by."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import pytest

from chat.providers import Provider, signed, text_event, webhook
from chat.support import NUMBER, USER, Chats, OpenChats
from support.app import client_of
from support.workshop import eventually
from tidings.features.chat.models import ChatMessage, Conversation, Role
from tidings.messages.contacts.addresses import ContactAddress
from tidings.messages.contacts.saving import save_contractor
from tidings.messages.gate.opt_outs import OptOut

USER_ID = "US.13491208655302741918"
_ids = itertools.count(1)


def event(text: str, *, number: str | None = USER, user_id: str | None = USER_ID, wamid: str | None = None) -> Any:
    """A message as Meta tells it of somebody whose number, ID, or both are known."""
    told = text_event(text, wamid or f"wamid.{text}.{next(_ids)}", number or USER)
    if number is None:
        del told["from"]
    return {**told, **({"from_user_id": user_id} if user_id else {})}


def changed(**system: Any) -> Any:
    """A system message about somebody's new number or ID."""
    return {
        "id": f"wamid.system.{next(_ids)}",
        "timestamp": str(int(time.time())),
        "type": "system",
        "from": USER.removeprefix("+"),
        "system": {"body": "changed", **system},
    }


async def tell(chats: Chats, *events: Any) -> dict[str, int]:
    body = json.loads(webhook(messages=list(events)))
    del body["entry"][0]["changes"][0]["value"]["contacts"]
    content = json.dumps(body).encode()
    async with client_of(chats.app) as client:
        answer = await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=content, headers=signed(content))
    assert answer.status_code == 200, answer.text
    taken: dict[str, int] = answer.json()
    return taken


async def words(chats: Chats) -> list[tuple[int, str]]:
    """Turn and text of what users wrote."""
    return [(row.turn, row.content) for row in await chats.messages(Role.USER)]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "events",
    [
        [event("a"), event("b", number=None), event("c", user_id=None)],
        [event("a", number=None), event("b"), event("c", user_id=None)],
        [event("a", user_id=None), event("b"), event("c", number=None)],
        [event("a", user_id=None), event("b", number=None), event("c")],
        [event("a", number=None), event("b", user_id=None), event("c")],
    ],
    ids=["both first", "number later", "id later", "number, id, both", "id, number, both"],
)
async def test_number_and_id_become_one_conversation_as_soon_as_both_are_known(chats: Chats, events: Any) -> None:
    await chats.cloud_account(await chats.chatbot())
    for one in events:
        await tell(chats, one)
    [conversation] = await chats.rows(Conversation)
    assert (conversation.external_user_id, conversation.user_id, conversation.turn) == (USER, USER_ID, 3)
    told = await words(chats)
    assert sorted(turn for turn, _ in told) == [1, 2, 3]
    assert sorted(text for _, text in told) == ["a", "b", "c"]
    again = await asyncio.gather(*(tell(chats, *events) for _ in range(3)))
    assert [one["duplicates"] for one in again] == [3, 3, 3]
    assert len(await chats.rows(ChatMessage)) == 3


@pytest.mark.both_databases
async def test_what_was_asked_by_the_id_is_answered_to_the_number_once(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.shop()
        await chats.cloud_account(bot)
        await tell(chats, event("Hi from before", user_id=None))
        await tell(chats, event("When are you open?", number=None))
        await tell(chats, event("Hello?"))
        await chats.start()
        posted = await graph.has(1)
        assert posted[0].body["to"] == USER.removeprefix("+")

        async def answered() -> bool:
            [conversation] = await chats.rows(Conversation)
            return bool(conversation.answered_turn == conversation.turn == 3)

        await eventually(answered)
        assert len(graph.posted) == 1


@pytest.mark.both_databases
async def test_messages_that_come_meanwhile_are_not_lost_when_two_conversations_become_one(chats: Chats) -> None:
    await chats.cloud_account(await chats.shop(debounce=0))
    await chats.start()
    await tell(chats, event("a", user_id=None))
    await tell(chats, event("b", number=None))
    await asyncio.gather(*(tell(chats, event(f"c{n}", number=USER if n % 2 else None)) for n in range(8)))
    await tell(chats, event("d"))
    [conversation] = await chats.rows(Conversation)
    told = await words(chats)
    assert sorted(text for _, text in told) == sorted(["a", "b", "d", *(f"c{n}" for n in range(8))])
    assert sorted(turn for turn, _ in told) == list(range(1, 12))
    assert conversation.turn == 11

    async def all_taken_in() -> bool:
        rows = await chats.messages(Role.USER)
        [conversation] = await chats.rows(Conversation)
        return all(row.status == "processed" for row in rows) and conversation.answered_turn == 11

    await eventually(all_taken_in, within=30)
    assert all(row.conversation_id == conversation.id for row in await chats.rows(ChatMessage))


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("system", "address", "user_id"),
    [
        ({"type": "user_changed_number", "wa_id": "12195555358"}, "+12195555358", None),
        (
            {
                "type": "user_changed_number",
                "wa_id": "12195555358",
                "user_id": "US.2",
                "previous_user_id": USER_ID,
            },
            "+12195555358",
            "US.2",
        ),
        ({"type": "user_changed_user_id", "user_id": "US.2", "previous_user_id": USER_ID}, "US.2", "US.2"),
    ],
    ids=["number", "number and id", "id alone"],
)
async def test_who_changes_the_number_keeps_the_conversation_and_what_was_stopped(
    chats: Chats, system: Any, address: str, user_id: str | None
) -> None:
    bot = await chats.chatbot(keywords=True)
    await chats.cloud_account(bot)
    await chats.start("incoming-messages")
    await tell(chats, event("STOP"))

    async def stopped() -> list[Any]:
        return await chats.rows(OptOut)

    await eventually(stopped)
    await tell(chats, changed(**system))
    [conversation] = await chats.rows(Conversation)
    assert (conversation.external_user_id, conversation.user_id) == (address, user_id)
    assert {row.address for row in await chats.rows(OptOut)} == {USER, address}


async def test_a_contact_with_the_number_learns_the_id_which_finds_the_contact_from_then_on(chats: Chats) -> None:
    async with chats.app.work.begin() as unit:
        contact, _ = await save_contractor(unit.session, {"name": "Ada", "phone": USER}, chats.clock.now())
    await chats.cloud_account(await chats.chatbot())
    await tell(chats, event("Hello?"))
    await tell(chats, event("Hello again?"))
    rows = await chats.rows(ContactAddress, kind="whatsapp_id")
    assert [(row.contact_id, row.value, row.source) for row in rows] == [(contact.id, USER_ID, "whatsapp")]


async def test_two_customers_know_the_same_number_by_ids_of_their_own(chats: Chats) -> None:
    bot = await chats.chatbot()
    other = await chats.chatbot()
    for chatbot, user_id in ((bot, USER_ID), (other, "US.77")):
        await chats.write(chatbot, "Hello?", user_id=user_id)
        await chats.write(chatbot, "Hello again?", external_user_id=user_id)
    rows = await chats.rows(Conversation)
    assert [(row.external_user_id, row.user_id, row.turn) for row in rows] == [(USER, USER_ID, 2), (USER, "US.77", 2)]


async def test_a_number_that_has_got_another_id_is_found_by_the_new_one(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    for one in (
        event("a"),
        event("b", number=None, user_id="US.2"),
        event("c", user_id="US.2"),
        event("d", number=None, user_id="US.2"),
    ):
        await tell(chats, one)
    [conversation] = await chats.rows(Conversation)
    assert (conversation.external_user_id, conversation.user_id, conversation.turn) == (USER, "US.2", 4)


async def test_a_message_of_another_program_that_knows_both_joins_them_as_well(chats: Chats) -> None:
    bot = await chats.chatbot()
    await chats.write(bot, "a")
    await chats.write(bot, "b", external_user_id=USER_ID)
    await chats.write(bot, "c", user_id=USER_ID)
    [conversation] = await chats.rows(Conversation)
    assert (conversation.external_user_id, conversation.user_id, conversation.turn) == (USER, USER_ID, 3)


async def test_erasing_a_person_empties_a_conversation_that_stands_under_the_id(chats: Chats) -> None:
    async with chats.app.work.begin() as unit:
        contact, _ = await save_contractor(unit.session, {"name": "Ada", "phone": USER}, chats.clock.now())
    await chats.cloud_account(await chats.chatbot())
    await tell(chats, event("My name is Ada"))
    await chats.app.contacts.erase(contact.id)
    [conversation] = await chats.rows(Conversation)
    assert (conversation.external_user_id, conversation.user_id) == (f"erased:{conversation.id}", None)
    assert [row.content for row in await chats.rows(ChatMessage)] == [""]
