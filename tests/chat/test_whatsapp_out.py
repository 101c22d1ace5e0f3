"""What goes out over WhatsApp: the 24 hours, templates, refusals, limits, and failures with their reason."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from chat.providers import Posted, Provider, refusal, signed, status_event, webhook
from chat.support import NUMBER, Chats, OpenChats
from support.app import client_of
from support.workshop import eventually
from tidings.customer_webhooks.models import WebhookEvent
from tidings.features.chat.models import ChatMessage, Conversation, UsageLog, WhatsAppQrSession
from tidings.messages.dead_letters import DeadLetter
from tidings.providers.whatsapp_cloud import errors

TEMPLATE = {"name": "we_have_news", "language": "en_US", "with_text": True}
ENDED = ("sent", "failed", "skipped")


async def ready(chats: Chats, **bot: Any) -> tuple[Any, int]:
    """A chatbot with a number and a conversation on it."""
    chatbot = await chats.chatbot(**bot)
    await chats.cloud_account(chatbot)
    stored = await chats.write(chatbot, "Hello?")
    return chatbot, stored.conversation_id


async def outside_the_window(chats: Chats, conversation_id: int) -> None:
    long_ago = chats.clock.now() - timedelta(hours=24, seconds=1)
    await chats.set(Conversation, conversation_id, last_user_message_at=long_ago)


async def test_after_24_hours_the_template_goes_out_with_the_text_on_one_line(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats, whatsapp_template=TEMPLATE)
        await outside_the_window(chats, conversation_id)
        await chats.reply(bot, conversation_id, "Your lamp\n\nis    here.")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        [sent] = await graph.has(1)
        await chats.answers(1)
    assert sent.body["template"] == {
        "name": "we_have_news",
        "language": {"code": "en_US"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Your lamp is here."}]}],
    }


async def test_after_24_hours_without_a_template_the_message_fails_with_what_to_do(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats)
        await outside_the_window(chats, conversation_id)
        await chats.endpoint(bot, graph.url, "message.failed")
        await chats.reply(bot, conversation_id, "Your lamp is here.")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        [row] = await chats.answers(1, status=ENDED)
        assert graph.posted == []
    assert (row.status, row.delivery_status) == ("failed", "FAILED")
    assert "24 hours" in row.error_message
    assert "whatsapp_template" in row.error_message
    [event] = await chats.rows(WebhookEvent)
    assert "24 hours" in event.payload["data"]["reason"]
    [letter] = await eventually(lambda: chats.rows(DeadLetter))
    assert (letter.queue, letter.job_id) == ("whatsapp-cloud-send", f"chat-message-{row.id}")


async def test_when_meta_says_that_the_window_is_closed_the_template_goes_out(open_chats: OpenChats) -> None:
    async with Provider(lambda posted: refusal(131047) if "text" in posted.body else None) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats, whatsapp_template={"name": "call_us", "language": "en"})
        await chats.reply(bot, conversation_id, "Your lamp is here.")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        [row] = await chats.answers(1)
        assert [posted.body["type"] for posted in graph.posted] == ["text", "template"]
    assert row.delivery_status == "SENT"


@pytest.mark.parametrize(("code", "status", "calls"), [(131026, 400, 1), (131000, 500, 3)], ids=["final", "broken"])
async def test_what_meta_refuses_is_failed_with_metas_words_after_as_many_attempts_as_make_sense(
    open_chats: OpenChats, code: int, status: int, calls: int
) -> None:
    async with Provider(lambda posted: refusal(code, status)) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats)
        await chats.reply(bot, conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        [row] = await chats.answers(1, status=ENDED)
        assert len(graph.posted) == calls
        assert len({posted.key for posted in graph.posted}) == 1
    assert (row.status, row.delivery_status) == ("failed", "FAILED")
    assert f"(#{code})" in row.error_message
    assert "EAAG" not in row.error_message


async def test_while_a_token_is_refused_the_number_rests_and_with_a_new_one_its_messages_leave(
    open_chats: OpenChats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(errors._ACCOUNT_RESTS, 190, 0.1)
    expired = True
    async with Provider(lambda posted: refusal(190, 401) if expired else None) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats)
        sent = await chats.reply(bot, conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")

        async def waits() -> str:
            [row] = [row for row in await chats.rows(ChatMessage) if row.id == sent.id]
            return row.error_message or ""

        sentence = await eventually(waits)
        assert sentence.startswith("whatsapp_cloud, account ")
        assert "set a new one" in sentence
        assert "EAAG" not in sentence
        expired = False
        [row] = await chats.answers(1)
    assert (row.status, row.attempts, row.delivery_status) == ("sent", 1, "SENT")


async def test_a_limit_of_one_recipient_holds_up_nobody_else(open_chats: OpenChats) -> None:
    refused: set[str] = set()

    def answer(posted: Posted) -> tuple[int, dict[str, Any]] | None:
        if posted.body["to"].endswith("1234") and not refused:
            refused.add(posted.key)
            return refusal(131056)
        return None

    async with Provider(answer) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats)
        await chats.reply(bot, conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        await graph.has(1)
        for number in range(3):
            other = await chats.write(bot, "Hello?", external_user_id=f"+1650555000{number}")
            await chats.reply(bot, other.conversation_id, f"Hi {number}")
        rows = await chats.answers(3)
        assert [row.status for row in rows] == ["scheduled", "sent", "sent", "sent"]
    assert rows[0].held_until is not None


async def test_a_message_that_meta_could_not_deliver_after_all_is_failed_with_the_reason(
    open_chats: OpenChats,
) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats)
        await chats.endpoint(bot, graph.url, "message.failed")
        await chats.reply(bot, conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        [row] = await chats.answers(1)
        fault = {"code": 131026, "title": "Message undeliverable"}
        body = webhook(statuses=[status_event("failed", "wamid.out1", graph.posted[0].key, errors=[fault])])
        async with client_of(chats.app) as client:
            await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
    row = await chats.message(row.id)
    assert (row.status, row.delivery_status) == ("sent", "FAILED")
    assert "undeliverable" in row.error_message
    story = await chats.app.why.explain(f"chat-message-{row.id}")
    assert any("FAILED" in sentence and "undeliverable" in sentence for sentence in story.sentences)
    assert [event.event for event in await chats.rows(WebhookEvent)] == ["message.failed"]


@pytest.mark.both_databases
async def test_a_message_that_meta_never_answered_is_sent_once_and_told_of_when_its_status_comes(
    open_chats: OpenChats,
) -> None:
    over = asyncio.Event()

    async def answer(posted: Posted) -> None:
        if posted.text == "First":
            await over.wait()

    async with Provider(answer) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url, http_timeout=0.5)
        bot, conversation_id = await ready(chats)
        await chats.endpoint(bot, graph.url, "message.sent", "message.failed", "message.delivered")
        first = await chats.reply(bot, conversation_id, "First")
        second = await chats.reply(bot, conversation_id, "Second")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        await chats.delivered(second.id, "SENT")  # it does not wait for the first one's outcome
        row = await chats.message(first.id)
        assert (row.status, row.delivery_status) == ("unknown", "PENDING")
        assert [event.payload["data"]["message_id"] for event in await chats.rows(WebhookEvent)] == [second.id]
        assert [use.message_id for use in await chats.rows(UsageLog)] == [second.id]

        body = webhook(statuses=[status_event("delivered", "wamid.unanswered", graph.posted[0].key)])
        async with client_of(chats.app) as client:
            answered = await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
            assert answered.status_code == 200, answered.text
        assert [posted.text for posted in graph.posted] == ["First", "Second"]
        over.set()
    row = await chats.message(first.id)
    assert (row.status, row.delivery_status, row.error_message) == ("sent", "DELIVERED", None)
    assert [event.event for event in await chats.rows(WebhookEvent)] == ["message.sent", "message.delivered"]
    assert [use.message_id for use in await chats.rows(UsageLog)] == [second.id, first.id]


async def test_a_status_that_comes_before_the_answer_was_given_up_is_enough(open_chats: OpenChats) -> None:
    over = asyncio.Event()

    async def answer(posted: Posted) -> None:
        await over.wait()

    async with Provider(answer) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url, http_timeout=1.0)
        bot, conversation_id = await ready(chats)
        message = await chats.reply(bot, conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        await graph.has(1)
        body = webhook(statuses=[status_event("delivered", "wamid.unanswered", graph.posted[0].key)])
        async with client_of(chats.app) as client:
            await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
        [row] = await chats.answers(1, status=ENDED)
        assert len(graph.posted) == 1
        over.set()
    assert (row.id, row.status, row.delivery_status) == (message.id, "sent", "DELIVERED")
    assert await chats.app.unknown.list_messages() == []


async def test_a_number_that_was_disconnected_fails_with_what_to_do(chats: Chats) -> None:
    bot = await chats.chatbot()
    account_id = await chats.cloud_account(bot)
    stored = await chats.write(bot, "Hello?")
    await chats.chat.accounts.disconnect_whatsapp_cloud(bot.id, account_id)
    await chats.reply(bot, stored.conversation_id, "Hi")
    await chats.start("outgoing-messages", "whatsapp-cloud-send")
    [row] = await chats.answers(1, status=ENDED)
    assert row.error_message == (f"phone number ID {NUMBER} is not connected to chatbot {bot.id}; connect it again")


async def test_a_message_that_names_no_number_is_answered_from_the_chatbots_own(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot()
        await chats.cloud_account(bot)
        stored = await chats.write(bot, "Hello?", via=None)
        await chats.reply(bot, stored.conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        [posted] = await graph.has(1)
    assert posted.path == f"/v18.0/{NUMBER}/messages"


async def test_a_lost_qr_session_is_noted_and_named(open_chats: OpenChats) -> None:
    async with Provider(lambda posted: (409, {"error": "logged out on the phone"})) as qr:
        chats = await open_chats(whatsapp_qr_url=qr.url)
        bot = await chats.chatbot()
        secret = await chats.qr_session(bot)
        stored = await chats.write(bot, "Hello?", channel="whatsapp_qr", via="shop-1")
        await chats.reply(bot, stored.conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-qr-send")
        [row] = await chats.answers(1, status=ENDED)
    assert "scan its QR code again" in row.error_message
    assert [one.state for one in await chats.rows(WhatsAppQrSession)] == ["lost"]
    async with client_of(chats.app) as client:
        event = {"sessionId": "shop-1", "from": "+16505551234", "message": "Hello again", "messageId": "3EB0B"}
        await client.post("/webhooks/whatsapp/qr/shop-1", json=event, headers={"X-Tidings-Secret": secret})
    assert [one.state for one in await chats.rows(WhatsAppQrSession)] == ["connected"]


async def test_a_failed_message_goes_out_when_its_dead_letter_is_retried(open_chats: OpenChats) -> None:
    down = True

    async with Provider(lambda posted: refusal(131026) if down else None) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats)
        await chats.reply(bot, conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        await chats.answers(1, status=("failed",))
        [letter] = await eventually(lambda: chats.rows(DeadLetter))
        down = False
        await chats.app.dead_letters.retry(letter.id)
        [row] = await chats.answers(1)
    assert (row.status, row.delivery_status) == ("sent", "SENT")


@pytest.mark.both_databases
async def test_the_sweep_puts_a_message_back_into_the_queue_that_it_was_to_take_next(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot, conversation_id = await ready(chats)
        sent = await chats.reply(bot, conversation_id, "Hi")
        await chats.set(ChatMessage, sent.id, queue="whatsapp-cloud-send")
        await chats.empty_redis()
        await chats.start("webhook-delivery")

        async def back() -> bool:
            return (await chats.app.queues.stats("whatsapp-cloud-send")).total == 1

        await eventually(back)
        assert (await chats.app.queues.stats("outgoing-messages")).total == 0
        await chats.start("whatsapp-cloud-send")
        await graph.has(1)
        [row] = await chats.answers(1)
    assert row.id == sent.id
    assert len(graph.posted) == 1
