"""What comes in from WhatsApp: only from whom it claims to come, each message once, each to its own chatbot."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chat.providers import Provider, signed, status_event, text_event, webhook
from chat.support import APP_SECRET, NUMBER, USER, VERIFY_TOKEN, Chats, OpenChats
from support.app import client_of, ledger, run_job
from support.workshop import eventually
from tidings.customer_webhooks.models import WebhookEvent
from tidings.features.chat.conversations.store import Stored
from tidings.features.chat.jobs import DELIVERY_REPORT, INCOMING_MESSAGE, IncomingMessageJob, StatusJob
from tidings.features.chat.models import ChatMessage, Conversation, Role, UsageLog
from tidings.messages.gate.opt_outs import OptOut

PATH = f"/webhooks/whatsapp/cloud/{NUMBER}"


async def test_metas_handshake_is_answered_for_the_right_token_under_both_names_of_an_account(chats: Chats) -> None:
    account_id = await chats.cloud_account(await chats.chatbot())
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": VERIFY_TOKEN}
    async with client_of(chats.app) as client:
        for key in (NUMBER, account_id):
            answer = await client.get(f"/webhooks/whatsapp/cloud/{key}", params=query)
            assert (answer.status_code, answer.text) == (200, "1158201444")
            assert answer.headers["content-type"].startswith("text/plain")
        wrong = await client.get(PATH, params={**query, "hub.verify_token": "another"})
        unknown = await client.get("/webhooks/whatsapp/cloud/999999999999", params=query)
    assert (wrong.status_code, unknown.status_code) == (403, 403)


async def test_without_the_accounts_signature_nothing_is_stored(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    body = webhook(messages=[text_event("Hello?", "wamid.1")])
    wrong = [{}, {"X-Hub-Signature-256": "sha256=00"}, signed(b"another body"), signed(body, "another secret")]
    async with client_of(chats.app) as client:
        for headers in wrong:
            assert (await client.post(PATH, content=body, headers=headers)).status_code == 401
        unknown = await client.post("/webhooks/whatsapp/cloud/999999999999", content=body, headers=signed(body))
    assert unknown.status_code == 401
    assert await chats.rows(Conversation) == await chats.rows(ChatMessage) == []


async def test_a_signed_body_of_no_use_is_taken_and_left_out(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    async with client_of(chats.app) as client:
        for body in (b"", b"[]", b"null", b"{", b'{"entry": 5}', b"\xff", json.dumps("é" * 100).encode()):
            answer = await client.post(PATH, content=body, headers=signed(body))
            assert (answer.status_code, answer.json()["messages"]) == (200, 0)


@pytest.mark.both_databases
async def test_many_messages_of_a_request_are_stored_in_their_order_and_once_however_often_they_come(
    chats: Chats,
) -> None:
    await chats.cloud_account(await chats.chatbot())
    others = "+16505550000"
    events = [
        text_event("one", "wamid.1"),
        text_event("Hi", "wamid.2", others),
        text_event("two", "wamid.3"),
        {**text_event("", "wamid.4"), "type": "reaction", "reaction": {"message_id": "wamid.0", "emoji": "👍"}},
        {**text_event("", "wamid.5"), "type": "image", "image": {"caption": "my lamp"}},
        {**text_event("in a group", "wamid.6"), "group_id": "G1"},
    ]
    body = webhook(messages=events)
    async with client_of(chats.app) as client:

        async def post() -> dict[str, int]:
            taken: dict[str, int] = (await client.post(PATH, content=body, headers=signed(body))).json()
            return taken

        taken = await asyncio.gather(*(post() for _ in range(6)))
    assert sum(one["messages"] for one in taken) == 5
    assert sum(one["duplicates"] for one in taken) == 5 * 5
    assert {one["ignored"] for one in taken} == {1}
    mine, theirs = sorted(await chats.rows(Conversation), key=lambda row: row.external_user_id != USER)
    rows = await chats.rows(ChatMessage, conversation_id=mine.id)
    told = [(1, "one"), (2, "two"), (2, "[reaction 👍]"), (3, "[image] my lamp")]
    assert [(row.turn, row.content) for row in rows] == told
    assert (mine.name, mine.turn, theirs.turn) == ("Ada", 3, 1)
    assert [row.event for row in await chats.rows(WebhookEvent)] == []  # nobody listens


async def test_an_odd_message_of_a_request_does_not_keep_the_others_out(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    odd: list[Any] = [
        {**text_event("", "wamid.1"), "type": "unsupported", "errors": [{"code": 131051, "title": "Unsupported"}]},
        {**text_event("", "wamid.2"), "type": "hologram", "hologram": {"id": 5}},
        {**text_event("", "wamid.3"), "text": {"body": None}},
        text_event(" " * 12_000 + "behind a lot of nothing", "wamid.4"),
        text_event("\u200e", "wamid.5"),
        {**text_event("x", "wamid.6"), "errors": "y", "context": [], "referral": 5, "from_user_id": 7},
        {"type": "system", "system": {"type": "user_changed_user_id"}},
        None,
        5,
        text_event("last", "wamid.7"),
    ]
    body = webhook(messages=odd)
    async with client_of(chats.app) as client:
        answer = await client.post(PATH, content=body, headers=signed(body))
    assert answer.status_code == 200
    rows = await chats.rows(ChatMessage)
    told = ["[unsupported message]", "[hologram]", "behind a lot of nothing", "\u200e", "x", "last"]
    assert [row.content for row in rows] == told
    assert answer.json()["ignored"] == 4


@pytest.mark.both_databases
async def test_first_messages_at_the_same_moment_make_one_conversation(chats: Chats) -> None:
    bot = await chats.chatbot()
    stored: list[Stored] = await asyncio.gather(
        *(chats.write(bot, f"message {number}", external_id=f"wamid.{number % 5}") for number in range(20))
    )
    [conversation] = await chats.rows(Conversation)
    assert {one.conversation_id for one in stored} == {conversation.id}
    assert sum(not one.duplicate for one in stored) == 5
    assert sorted(row.turn for row in await chats.rows(ChatMessage)) == [1, 2, 3, 4, 5]
    assert conversation.turn == 5


@pytest.mark.both_databases
async def test_a_message_taken_in_twice_is_logged_and_answered_once(chats: Chats) -> None:
    bot = await chats.chatbot()
    stored = await chats.write(bot, "Hello?")
    job = IncomingMessageJob(id=stored.message_id)
    said = await asyncio.gather(*(run_job(chats.app, INCOMING_MESSAGE, job) for _ in range(4)))
    assert sorted(map(str, said)) == ["taken in already"] * 3 + ["to be answered as turn 1"]
    assert len(await chats.rows(UsageLog)) == 1


async def test_a_number_reaches_its_own_chatbot_and_a_foreign_one_in_the_same_request_reaches_nobody(
    chats: Chats,
) -> None:
    mine, sibling, foreign = "106540352242922", "106540352242923", "106540352242924"
    bot = await chats.chatbot()
    await chats.cloud_account(bot, mine)
    second = await chats.chat.accounts.create_chatbot({"customer_id": bot.customer_id, "name": "Second"})
    await chats.cloud_account(second, sibling)
    stranger = await chats.chatbot()
    await chats.cloud_account(stranger, foreign)  # another customer, who happens to have the same app secret
    entries = [
        json.loads(webhook(messages=[text_event(f"to {number}", f"wamid.{number}")], number=number))["entry"][0]
        for number in (mine, sibling, foreign)
    ]
    body = json.dumps({"object": "whatsapp_business_account", "entry": entries}).encode()
    async with client_of(chats.app) as client:
        answer = await client.post(PATH, content=body, headers=signed(body))
    assert answer.json() == {"messages": 2, "duplicates": 0, "statuses": 0, "ignored": 1, "preferences": 0}
    found = {row.chatbot_id: row.external_user_id for row in await chats.rows(Conversation)}
    assert found == {bot.id: USER, second.id: USER}


async def test_one_chatbot_sees_no_conversation_of_another(chats: Chats) -> None:
    bot, other = await chats.chatbot(), await chats.chatbot()
    stored = await chats.write(bot, "Hello?")
    base = f"/chat/chatbots/{other.id}/conversations/{stored.conversation_id}"
    async with client_of(chats.app) as client:
        answers = [
            await client.get(base),
            await client.get(f"{base}/messages"),
            await client.post(f"{base}/messages", json={"content": "Hi"}),
            await client.post(f"{base}/take-over", json={"by": "Ben"}),
            await client.post(f"{base}/hand-back"),
        ]
        listed = (await client.get(f"/chat/chatbots/{other.id}/conversations")).json()
        own = (await client.get(f"/chat/chatbots/{bot.id}/conversations/{stored.conversation_id}/messages")).json()
    assert [one.status_code for one in answers] == [404] * 5
    assert listed == []
    assert [one["content"] for one in own] == ["Hello?"]


async def test_a_status_moves_only_the_message_of_the_number_that_reports_it(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, other = await chats.chatbot(items={"Hours": "9 to 5."}), await chats.chatbot()
        await chats.cloud_account(bot)
        foreign = "106540352242924"
        await chats.cloud_account(other, foreign, "another-app-secret")
        await chats.start()
        await chats.write(bot, "Hours?")
        [row] = await chats.answers(1)
        key = graph.posted[0].key
    async with client_of(chats.app) as client:
        body = webhook(statuses=[status_event("read", "wamid.out1", key)], number=foreign)
        path = f"/webhooks/whatsapp/cloud/{foreign}"
        await client.post(path, content=body, headers=signed(body, "another-app-secret"))
        assert (await chats.message(row.id)).delivery_status == "SENT"
        wrong = key.rpartition("-")[0] + "-1"  # the same number in another database
        body = webhook(statuses=[status_event("read", "wamid.other", wrong)])
        await client.post(PATH, content=body, headers=signed(body))
        assert (await chats.message(row.id)).delivery_status == "SENT"
        body = webhook(statuses=[status_event("delivered", "wamid.out1")])
        await client.post(PATH, content=body, headers=signed(body))
        assert (await chats.message(row.id)).delivery_status == "DELIVERED"


async def test_a_report_that_comes_before_its_message_is_recorded_is_not_lost(open_chats: OpenChats) -> None:
    chats: Chats

    async def report_at_once(posted: Any) -> None:
        async with client_of(chats.app) as client:
            body = webhook(statuses=[status_event("delivered", "wamid.out1", posted.key)])
            await client.post(PATH, content=body, headers=signed(body))

    async with Provider(report_at_once) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot(items={"Hours": "9 to 5."})
        await chats.cloud_account(bot)
        await chats.start()
        await chats.write(bot, "Hours?")
        [row] = await chats.answers(1)
    assert row.delivery_status == "DELIVERED"
    assert [line.delivery_status for line in await ledger(chats.app, "chat-message", row.id)] == ["DELIVERED"]


async def test_a_report_about_an_unknown_message_is_looked_at_again_and_then_let_be(chats: Chats) -> None:
    await chats.cloud_account(await chats.chatbot())
    async with client_of(chats.app) as client:
        body = webhook(statuses=[status_event("delivered", "wamid.of.another.program")])
        assert (await client.post(PATH, content=body, headers=signed(body))).json()["statuses"] == 1
    assert (await chats.app.queues.stats("incoming-messages")).delayed == 1
    job = StatusJob(channel="whatsapp_cloud", via=NUMBER, provider_message_id="wamid.x", status="READ")
    assert await run_job(chats.app, DELIVERY_REPORT, job, last=True) == "about a message that is not ours"


@pytest.mark.parametrize("sender", [USER, "US.13491208655302741918"])
async def test_stop_to_a_bot_with_keywords_is_confirmed_there_and_who_writes_is_answered_all_the_same(
    open_chats: OpenChats, sender: str
) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot(items={"Hours": "9 to 5."}, keywords=True)
        await chats.cloud_account(bot)
        await chats.start()

        async def write(text: str) -> None:
            stored = await chats.write(bot, text, external_user_id=sender, external_id=f"wamid.{text}")

            async def taken_in() -> bool:
                return (await chats.message(stored.message_id)).status == "processed"

            await eventually(taken_in)

        await write("STOP")
        assert "unsubscribed" in (await graph.has(1))[0].text
        [opt_out] = await chats.rows(OptOut)
        assert (opt_out.address, opt_out.words) == (sender, "STOP")
        assert (opt_out.tenant, opt_out.channel) == (f"customer:{bot.customer_id}", "whatsapp")
        await write("stop")  # confirmed once
        await write("Hours?")
        assert [posted.text for posted in (await graph.has(2))[1:]] == ["9 to 5."]
        [conversation] = await chats.rows(Conversation)
        await chats.reply(bot, conversation.id, "A person's word.")
        assert [posted.text for posted in (await graph.has(3))[2:]] == ["A person's word."]
        await write("START")
        assert "subscribed again" in (await graph.has(4))[3].text


async def test_a_widgets_visitor_may_say_stop_without_any_consequence(chats: Chats) -> None:
    bot = await chats.chatbot(items={"Stop the machine": "Press the red button."})
    await chats.start()
    await chats.write(bot, "stop", channel="widget", external_user_id="visitor-1", via=None)
    [row] = await chats.answers(1)
    assert row.content == "Press the red button."
    assert await chats.rows(OptOut) == []
    assert [one.role for one in await chats.messages(Role.USER)] == ["user"]


async def test_an_account_of_another_customer_cannot_be_taken_over(chats: Chats) -> None:
    bot, other = await chats.chatbot(), await chats.chatbot()
    await chats.cloud_account(bot)
    async with client_of(chats.app) as client:
        secrets = {"access_token": "EAAG-other", "app_secret": "other-secret-0"}
        account = {"phone_number_id": NUMBER, **secrets}
        taken = await client.post(f"/chat/chatbots/{other.id}/whatsapp-cloud", json=account)
        renewed = await client.post(f"/chat/chatbots/{bot.id}/whatsapp-cloud", json=account)
        body = webhook(messages=[text_event("Hello?", "wamid.1")])
        old = await client.post(PATH, content=body, headers=signed(body, APP_SECRET))
        new = await client.post(PATH, content=body, headers=signed(body, "other-secret-0"))
    assert (taken.status_code, renewed.status_code) == (409, 201)
    assert renewed.json()["verify_token"]
    assert (old.status_code, new.status_code) == (401, 200)
