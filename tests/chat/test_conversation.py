"""One conversation on its whole way: WhatsApp in, an answer by the AI, WhatsApp out, and the statuses back."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import bullmq
import httpx
import pytest
from sqlalchemy import text

from ai.server import ModelServer, Reply
from chat.providers import Provider, signed, status_event, text_event, webhook
from chat.support import ACCESS_TOKEN, APP_SECRET, NUMBER, USER, VERIFY_TOKEN, Chats, OpenChats, with_ai
from support.app import client_of, ledger, run_job
from support.workshop import eventually
from tidings.customer_webhooks.models import WebhookEvent
from tidings.features.chat.jobs import QUEUES, UPKEEP, UpkeepJob
from tidings.features.chat.models import ChatMessage, Role, UsageLog
from tidings.messages.ledger import LedgerEntry
from tidings.messages.usage import AiUsage

FAQ = {"How long does shipping take?": "Shipping takes 3 to 5 days.", "Returns": "30 days, free of charge."}


async def test_a_question_over_whatsapp_comes_back_answered_and_its_statuses_move_upward(
    open_chats: OpenChats, logs: io.StringIO
) -> None:
    async with Provider() as graph, Provider() as receiver, ModelServer(lambda asked: "It takes 3 to 5 days.") as ai:
        chats = await open_chats(whatsapp_graph_url=graph.url, **with_ai(ai.url))
        bot = await chats.chatbot(items=FAQ, system_prompt="You are Acme's assistant.", model="gpt-special")
        await chats.cloud_account(bot)
        await chats.endpoint(bot, receiver.url, "message.*")
        await chats.start()
        async with chats.served() as url, httpx.AsyncClient(base_url=url, timeout=30) as meta:
            path = f"/webhooks/whatsapp/cloud/{NUMBER}"
            body = webhook(messages=[text_event("How long is shipping?", "wamid.in1")])
            answer = await meta.post(path, content=body, headers=signed(body))
            assert (answer.status_code, answer.json()["messages"]) == (200, 1)

            [sent] = await graph.has(1)
            assert (sent.path, sent.text) == (f"/v18.0/{NUMBER}/messages", "It takes 3 to 5 days.")
            assert sent.body["to"] == USER.removeprefix("+")
            assert sent.headers["authorization"] == f"Bearer {ACCESS_TOKEN}"

            # READ before DELIVERED, and everything twice, as webhooks come.
            for status in ("sent", "read", "delivered", "read"):
                body = webhook(statuses=[status_event(status, "wamid.out1", sent.key)] * 2)
                answer = await meta.post(path, content=body, headers=signed(body))
                assert answer.json()["statuses"] == 2
            [row] = await chats.answers(1)

        assert (row.delivery_status, row.details["whatsapp_message_id"]) == ("READ", "wamid.out1")

        async def line_is_read() -> bool:
            return [line.delivery_status for line in await ledger(chats.app, "chat-message", row.id)] == ["READ"]

        await eventually(line_is_read)
        await receiver.has(3)  # received, sent, read

    asked = ai.requests[0]
    assert (asked.body["model"], asked.body["messages"][-1]) == (
        "gpt-special",
        {"role": "user", "content": "How long is shipping?"},
    )
    assert "You are Acme's assistant." in asked.prompt
    assert "Shipping takes 3 to 5 days." in asked.prompt
    stats = await chats.chat.get_queue_stats()
    assert {name: counts.failed for name, counts in stats.items()} == dict.fromkeys(stats, 0)
    assert {"incoming-messages", "ai-processing", "outgoing-messages", "whatsapp-cloud-send"} <= {
        name for name, counts in stats.items() if counts.completed
    }
    assert (await chats.app.why.explain(f"chat-message-{row.id}")).summary == "It was sent."
    used = {(one.kind, one.model, one.tokens) for one in await chats.rows(UsageLog)}
    assert used == {("message", None, None), ("ai", "gpt-special", 230), ("whatsapp", None, None)}
    assert [one.message_id for one in await chats.rows(AiUsage)] == [row.id]
    events = {one.event for one in await chats.rows(WebhookEvent)}
    assert events == {"message.received", "message.sent", "message.read"}
    logged = logs.getvalue()
    assert logged.count("job completed") >= 4
    for secret in (ACCESS_TOKEN, APP_SECRET, VERIFY_TOKEN, "sk-key-of-this-test", USER):
        assert secret not in logged


async def test_nothing_that_is_secret_is_stored_or_queued_in_plain_text(chats: Chats) -> None:
    bot = await chats.chatbot()
    await chats.cloud_account(bot)
    secret = await chats.qr_session(bot)
    async with chats.app.work.read() as session:
        stored = []
        for table in ("whatsapp_cloud_accounts", "whatsapp_qr_sessions", "webhook_endpoints"):
            stored += [str(row) for row in (await session.execute(text(f"SELECT * FROM {table}"))).all()]
    for one in (ACCESS_TOKEN, APP_SECRET, VERIFY_TOKEN, secret):
        assert one not in " ".join(stored)
    async with client_of(chats.app) as client:
        shown = (await client.get(f"/chat/chatbots/{bot.id}/whatsapp-cloud")).text
        shown += (await client.get(f"/chat/chatbots/{bot.id}/whatsapp-qr")).text
    for one in (ACCESS_TOKEN, APP_SECRET, VERIFY_TOKEN, secret, "v1."):
        assert one not in shown


async def test_the_qr_service_is_spoken_to_and_listened_to_with_the_sessions_secret(open_chats: OpenChats) -> None:
    async with Provider() as qr:
        chats = await open_chats(whatsapp_qr_url=qr.url)
        bot = await chats.chatbot(items=FAQ)
        secret = await chats.qr_session(bot)
        await chats.start()
        async with client_of(chats.app) as client:

            async def post(event: dict[str, Any], given: str = secret) -> httpx.Response:
                event = {"sessionId": "shop-1", **event}
                return await client.post(
                    "/webhooks/whatsapp/qr/shop-1", json=event, headers={"X-Tidings-Secret": given}
                )

            question = {"from": USER, "message": "How long is shipping?", "messageId": "3EB0A"}
            assert (await post(question, "wrong")).status_code == 401
            assert (await post(question)).json()["messages"] == 1
            assert (await post(question)).json() == {
                "messages": 0,
                "duplicates": 1,
                "statuses": 0,
                "ignored": 0,
                "preferences": 0,
            }
            [sent] = await qr.has(1)
            assert (sent.path, sent.body["sessionId"], sent.text) == (
                "/send",
                "shop-1",
                FAQ["How long does shipping take?"],
            )
            [row] = await chats.answers(1)
            assert (await post({"messageId": "QR1", "status": "delivered"})).json()["statuses"] == 1
            assert (await chats.message(row.id)).delivery_status == "DELIVERED"


async def test_messages_to_a_widget_leave_from_the_queue_that_routes_them(chats: Chats) -> None:
    bot = await chats.chatbot(items=FAQ)
    await chats.start()
    await chats.write(bot, "How long is shipping?", channel="widget", external_user_id="visitor-1", via=None)
    [row] = await chats.answers(1)
    assert (row.content, row.author, row.delivery_status) == (
        FAQ["How long does shipping take?"],
        "knowledge",
        "SENT",
    )
    assert [line.channel for line in await ledger(chats.app, "chat-message", row.id)] == ["widget"]


@pytest.mark.both_databases
async def test_redis_may_be_emptied_at_any_time_and_every_question_is_still_answered(chats: Chats) -> None:
    bot = await chats.chatbot(items=FAQ)
    for visitor in ("a", "b", "c"):
        await chats.write(bot, "How long is shipping?", channel="widget", external_user_id=f"visitor-{visitor}")
    await chats.empty_redis()
    early = chats.clock.now().replace(year=2025)
    for message in await chats.messages(Role.USER):
        await chats.set(ChatMessage, message.id, created_at=early)
    assert await run_job(chats.app, UPKEEP, UpkeepJob()) == "3 put back"
    assert await run_job(chats.app, UPKEEP, UpkeepJob()) == "0 put back"
    await chats.start()
    assert {row.content for row in await chats.answers(3)} == {FAQ["How long does shipping take?"]}


TOLD: list[tuple[str, dict[str, Any]]] = [
    ("incoming-message", {"channel": "widget", "content": "How long is shipping?"}),
    ("job", {"channel": "WIDGET", "message": "How long is shipping?"}),
    ("process-message", {"channel": " Widget ", "text": "How long is shipping?", "externalId": "m-1"}),
    ("job", {"channel": "widget", "content": "How long is shipping?", "externalUserId": 4711, "externalId": None}),
]


@pytest.mark.parametrize(("name", "told"), TOLD)
async def test_another_program_may_add_a_message_in_full_under_any_name_and_its_answer_too(
    chats: Chats, name: str, told: dict[str, Any]
) -> None:
    bot = await chats.chatbot(items=FAQ, debounce=8)
    await chats.start()
    data = {"chatbotId": bot.id, "externalUserId": "visitor-1", "userName": "Ada", **told}
    async with chats.redis() as redis:
        queues = [
            bullmq.Queue(name, {"connection": redis, "prefix": chats.prefix})
            for name in ("incoming-messages", "ai-processing")
        ]
        await queues[0].add(name, data)

        async def is_in() -> bool:
            return any(row.status == "processed" for row in await chats.messages(Role.USER))

        await eventually(is_in)
        await queues[1].add("job", {"conversationId": 1})
        [row] = await chats.answers(1)
        [finished] = await eventually(lambda: queues[1].getCompleted())
        assert await redis.hget(queues[1].toKey(finished.id), "finishedOn")
    conversation = await chats.conversation(row.conversation_id)
    assert (conversation.external_user_id, conversation.name, conversation.turn) == (
        str(data["externalUserId"]),
        "Ada",
        1,
    )


async def test_a_users_message_has_no_delivery_status_that_never_ends(chats: Chats) -> None:
    bot = await chats.chatbot(items=FAQ)
    await chats.start()
    await chats.write(bot, "How long is shipping?", channel="widget", external_user_id="visitor-1")
    [answer] = await chats.answers(1)
    [told] = await chats.messages(Role.USER)
    assert (told.delivery_status, told.status) == (None, "processed")
    assert answer.delivery_status in ("PENDING", "SENT")


async def test_finished_jobs_stay_for_their_time_not_by_their_number(chats: Chats) -> None:
    bot = await chats.chatbot(items=FAQ)
    await chats.start()
    stored = await chats.write(bot, "How long is shipping?", channel="widget", external_user_id="visitor-1")
    await chats.answers(1)
    options = await chats.options_of("incoming-messages", f"incoming-message-{stored.message_id}", finished=True)
    assert (options["removeOnComplete"], options["removeOnFail"]) == ({"age": 3600}, {"age": 86400})
    assert {(queue.attempts, queue.backoff) for queue in QUEUES} == {(3, 1.0)}
    assert options["attempts"] == 3


async def test_whoever_pays_more_is_answered_first(chats: Chats) -> None:
    await chats.start("incoming-messages")
    for price, priority in (("100", 1), ("99.99", 3), ("50", 3), ("49.99", 5), (None, 5)):
        bot = await chats.chatbot(price=price, debounce=0)
        stored = await chats.write(bot, "Hello?", channel="widget", external_user_id="visitor-1")
        options = await chats.options_of("ai-processing", f"chat-answer-{stored.conversation_id}-1")
        assert options["priority"] == priority


async def test_answers_that_the_ledger_keeps_name_what_they_went_by(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot(items=FAQ)
        await chats.cloud_account(bot)
        await chats.start()
        await chats.write(bot, "shipping?")
        [row] = await chats.answers(1)
    [line] = await chats.rows(LedgerEntry, message_id=row.id, kind="chat-message")
    assert (line.provider, line.provider_message_id, line.channel) == (
        "whatsapp_cloud",
        "wamid.out1",
        "whatsapp_cloud",
    )
    assert row.details["sources"]


@pytest.mark.timing
async def test_a_model_that_answers_slowly_is_asked_once_for_a_burst(open_chats: OpenChats) -> None:
    async with ModelServer(lambda asked: Reply("Hello!", pause=0.001)) as ai:
        chats = await open_chats(**with_ai(ai.url))
        bot = await chats.chatbot()
        await chats.start()
        while await chats.app.queues.was_emptied():  # what a start takes is no part of how fast somebody writes
            await asyncio.sleep(0.01)
        for words in ("Hi", "I have", "a question"):
            await chats.write(bot, words, channel="widget", external_user_id="visitor-1")
            await asyncio.sleep(0)
        [row] = await chats.answers(1)
        assert len(ai.requests) == 1
        said = [one["content"] for one in ai.requests[0].body["messages"] if one["role"] == "user"]
    assert said == ["Hi", "I have", "a question"]
    assert row.turn == 3
