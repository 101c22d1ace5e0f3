"""What the business writes in its phone app is a person's answer: kept once, not answered, and the bot is silent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat.providers import Provider, echo_event, signed, text_event, webhook
from chat.support import NUMBER, USER, Chats, OpenChats
from support.app import client_of
from support.workshop import eventually
from tidings.customer_webhooks import events as names
from tidings.features.chat.conversations.echoes import PHONE_APP, REASON
from tidings.features.chat.models import ChatMessage, Conversation, Role


async def post(chats: Chats, body: bytes) -> dict[str, int]:
    async with client_of(chats.app) as client:
        answer = await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
    assert answer.status_code == 200, answer.text
    taken: dict[str, int] = answer.json()
    return taken


async def echo(chats: Chats, *events: dict[str, Any]) -> dict[str, int]:
    return await post(chats, webhook(echoes=list(events)))


async def is_taken_in(chats: Chats, text: str) -> None:
    async def processed() -> bool:
        rows = await chats.rows(ChatMessage, content=text)
        return bool(rows) and all(row.status == "processed" for row in rows)

    await eventually(processed)


@pytest.mark.both_databases
async def test_an_echo_is_kept_once_as_a_persons_message_and_silences_the_bot(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.shop(debounce=0.05)
        await chats.cloud_account(bot)
        await chats.endpoint(bot, "http://127.0.0.1:9/hook")
        await post(chats, webhook(messages=[text_event("When are you open?", "wamid.1")]))
        taken = await asyncio.gather(*(echo(chats, echo_event("From nine to six", "wamid.E")) for _ in range(4)))
        assert sorted(one["messages"] for one in taken) == [0, 0, 0, 1]
        await chats.start("incoming-messages", "ai-processing", "outgoing-messages", "whatsapp-cloud-send")
        await post(chats, webhook(messages=[text_event("And on Sunday?", "wamid.2")]))
        await is_taken_in(chats, "And on Sunday?")
        [row] = await chats.messages()
        assert (row.role, row.content, row.author) == ("human", "From nine to six", PHONE_APP)
        assert (row.status, row.delivery_status, row.turn) == ("sent", "SENT", 1)
        assert row.details["whatsapp_message_id"] == "wamid.E"
        [conversation] = await chats.rows(Conversation)
        assert (conversation.taken_over_by, conversation.taken_over_reason) == (PHONE_APP, REASON)
        assert (conversation.answered_turn, conversation.answer_due) == (1, None)
        [told] = await chats.events(names.CONVERSATION_TAKEN_OVER)
        assert told.payload["data"]["by"] == PHONE_APP
        assert [one.payload["data"]["role"] for one in await chats.events(names.MESSAGE_SENT)] == ["human"]
        assert graph.posted == []

        await chats.chat.conversations.hand_back(bot.id, conversation.id)
        await chats.answers(2)
        assert len(graph.posted) == 1
        assert (await chats.conversation(conversation.id)).taken_over_reason is None


async def test_an_answer_that_is_ready_does_not_leave_after_the_business_has_answered_itself(
    open_chats: OpenChats,
) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.shop(debounce=0)
        await chats.cloud_account(bot)
        await post(chats, webhook(messages=[text_event("When are you open?", "wamid.1")]))
        await chats.start("incoming-messages", "ai-processing")

        async def written() -> list[ChatMessage]:
            return await chats.messages(Role.ASSISTANT)

        await eventually(written)
        await echo(chats, echo_event("From nine to six", "wamid.E"))
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        await chats.answers(1, status=("skipped",))
        assert graph.posted == []


async def test_whom_the_business_wrote_to_first_is_not_answered_by_the_bot(chats: Chats) -> None:
    await chats.cloud_account(await chats.shop(debounce=0))
    await chats.start()
    assert (await echo(chats, echo_event("Your lamp is here", "wamid.E")))["messages"] == 1
    await post(chats, webhook(messages=[text_event("Great, when are you open?", "wamid.1")]))
    await is_taken_in(chats, "Great, when are you open?")
    assert [row.role for row in await chats.messages()] == ["human"]


async def test_what_left_by_tidings_is_not_stored_again_when_it_is_echoed(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.shop()
        await chats.cloud_account(bot)
        await chats.start()
        await chats.write(bot, "When are you open?")
        await chats.answers(1)
        taken = await echo(chats, echo_event("We are open", "wamid.out1"))
    assert (taken["messages"], taken["duplicates"]) == (0, 1)
    [conversation] = await chats.rows(Conversation)
    assert conversation.taken_over_at is None
    assert len(await chats.messages()) == 1


async def test_an_echo_by_the_users_id_is_in_the_conversation_with_the_number(chats: Chats) -> None:
    user_id = "US.13491208655302741918"
    await chats.cloud_account(await chats.chatbot())
    await post(chats, webhook(messages=[{**text_event("Hello?", "wamid.1"), "from_user_id": user_id}]))
    hidden = {**echo_event("Hi!", "wamid.E"), "to_user_id": user_id}
    del hidden["to"]
    await echo(chats, hidden)
    [conversation] = await chats.rows(Conversation)
    assert conversation.external_user_id == USER
    assert [row.role for row in await chats.rows(ChatMessage)] == ["user", "human"]


@pytest.mark.both_databases
async def test_what_the_business_edits_or_deletes_in_its_app_is_changed_here_too(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    await echo(chats, echo_event("From nien", "wamid.E1"), echo_event("Wrong chat", "wamid.E2"))
    edit = {
        "type": "edit",
        "edit": {"original_message_id": "wamid.E1", "message": {"type": "text", "text": {"body": "From nine"}}},
    }
    revoke = {"type": "revoke", "revoke": {"original_message_id": "wamid.E2"}}
    for _ in range(2):
        await echo(chats, {**echo_event("", "wamid.E3"), **edit}, {**echo_event("", "wamid.E4"), **revoke})
    assert [row.content for row in await chats.messages()] == ["From nine", "[message deleted]"]


async def test_the_history_and_the_contacts_of_a_phone_app_are_no_messages(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    text = webhook(messages=[text_event("long ago", "wamid.1")]).decode()
    for field in ("history", "smb_app_state_sync", "standby", "account_update"):
        taken = await post(chats, text.replace('"field": "messages"', f'"field": "{field}"').encode())
        assert taken == {"messages": 0, "duplicates": 0, "statuses": 0, "ignored": 0, "preferences": 0}
    assert await chats.rows(Conversation) == []


@pytest.mark.both_databases
async def test_what_the_business_writes_on_a_phone_of_the_qr_service_takes_over_and_our_own_words_do_not(
    open_chats: OpenChats,
) -> None:
    chats: Chats
    secret = ""

    async def tell(**event: Any) -> dict[str, int]:
        headers = {"X-Tidings-Secret": secret}
        async with client_of(chats.app) as client:
            told = {"sessionId": "shop-1", **event}
            answer = await client.post("/webhooks/whatsapp/qr/shop-1", json=told, headers=headers)
        taken: dict[str, int] = answer.json()
        return taken

    async def told_at_once(posted: Any) -> None:
        """The service tells what it sends before it has answered."""
        early = {"fromMe": True, "to": USER, "message": posted.text, "messageId": "QR1"}
        assert (await tell(**early))["duplicates"] == 1

    async with Provider(told_at_once) as qr:
        chats = await open_chats(whatsapp_qr_url=qr.url)
        bot = await chats.shop(debounce=0.05)
        secret = await chats.qr_session(bot)
        await chats.start()
        await tell(**{"from": USER, "message": "When are you open?", "messageId": "IN1"})
        [answer] = await chats.answers(1)
        late = {"fromMe": True, "to": USER, "message": answer.content, "messageId": "QR1"}
        assert (await tell(**late))["duplicates"] == 1
        assert (await chats.rows(Conversation))[0].taken_over_at is None
        own = {"fromMe": True, "to": USER, "message": "Ben here: we are open today, too", "messageId": "OWN1"}
        assert [(await tell(**own))["messages"] for _ in range(2)] == [1, 0]
        await tell(**{"from": USER, "message": "Thanks, and returns?", "messageId": "IN2"})
        await is_taken_in(chats, "Thanks, and returns?")
        assert [row.role for row in await chats.messages()] == ["assistant", "human"]
        for group in ("120363041234567890@g.us", "status@broadcast", "1203630@newsletter"):
            taken = await tell(**{"from": group, "message": "Hi all", "messageId": "G1"})
            assert taken["ignored"] == 1
        assert (await tell(**{"from": USER, "message": "Hi", "messageId": "G2", "isGroup": True}))["ignored"] == 1
        assert len(await chats.rows(Conversation)) == 1
