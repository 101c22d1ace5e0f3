"""Delivery reports: through whatever door one comes, the message, the ledger and the customer hear of it together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from chat.providers import Provider, signed, status_event, webhook
from chat.support import NUMBER, Chats, OpenChats
from support.app import client_of, ledger
from tidings.features.chat.kind import ChatMessages
from tidings.features.chat.models import ChatMessage

SECRET, TOKEN = "n8n-secret-of-this-test", "mitto-token-of-this-test"
Report = Callable[[httpx.AsyncClient, ChatMessage, str], Awaitable[httpx.Response]]


async def n8n_by_name(client: httpx.AsyncClient, row: ChatMessage, status: str) -> httpx.Response:
    report = {"status": status, "message": f"chat-message-{row.id}"}
    return await client.post("/webhooks/n8n/statuses", json=report, headers={"X-Tidings-Secret": SECRET})


async def n8n_by_provider_id(client: httpx.AsyncClient, row: ChatMessage, status: str) -> httpx.Response:
    report = {"status": status, "provider_message_id": row.details["whatsapp_message_id"]}
    return await client.post("/webhooks/n8n/statuses", json=report, headers={"X-Tidings-Secret": SECRET})


async def mitto(client: httpx.AsyncClient, row: ChatMessage, status: str) -> httpx.Response:
    key = ChatMessages.idempotency_key(row.id, row.created_at)
    report = {"messageId": "of-mitto", "status": status, "reference": key}
    return await client.post(f"/webhooks/mitto/{TOKEN}", json=report)


async def meta(client: httpx.AsyncClient, row: ChatMessage, status: str) -> httpx.Response:
    body = webhook(statuses=[status_event(status.lower(), row.details["whatsapp_message_id"])])
    return await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))


@pytest.fixture
async def chats(open_chats: OpenChats) -> AsyncIterator[Chats]:
    """An application whose messages go out over WhatsApp."""
    async with Provider() as graph:
        yield await open_chats(whatsapp_graph_url=graph.url, n8n_inbound_secret=SECRET, mitto_callback_token=TOKEN)


async def sent_message(chats: Chats) -> ChatMessage:
    """A message that has left; the customer's server listens to what becomes of it."""
    bot = await chats.chatbot()
    await chats.cloud_account(bot)
    await chats.endpoint(bot, "http://127.0.0.1:9/", "message.delivered", "message.read", "message.failed")
    stored = await chats.write(bot, "Hello?")
    await chats.reply(bot, stored.conversation_id, "Hi")
    await chats.start("outgoing-messages", "whatsapp-cloud-send")
    [row] = await chats.answers(1)
    return row


async def state_of(chats: Chats, row: ChatMessage) -> tuple[Any, ...]:
    """What the message's row, its line in the ledger and the customer know."""
    lines = await ledger(chats.app, "chat-message", row.id)
    return (
        (await chats.message(row.id)).delivery_status,
        [line.delivery_status for line in lines if line.outcome == "sent"],
        [event.event for event in await chats.events()],
    )


@pytest.mark.parametrize("report", [n8n_by_name, n8n_by_provider_id, mitto, meta], ids=lambda door: door.__name__)
async def test_a_delivery_reaches_message_ledger_and_customer_once_through_any_door(
    chats: Chats, report: Report
) -> None:
    row = await sent_message(chats)
    assert await state_of(chats, row) == ("SENT", ["SENT"], [])
    async with client_of(chats.app) as client:
        for status in ("DELIVERED", "DELIVERED", "SENT"):  # a repetition, and one that comes too late
            answer = await report(client, row, status)
            assert answer.status_code == 200, answer.text
            assert await state_of(chats, row) == ("DELIVERED", ["DELIVERED"], ["message.delivered"])
    [event] = await chats.events("message.delivered")
    assert (event.payload["data"]["message_id"], event.payload["data"]["delivery_status"]) == (row.id, "DELIVERED")


async def test_reports_of_one_message_through_several_doors_move_it_once(chats: Chats) -> None:
    row = await sent_message(chats)
    async with client_of(chats.app) as client:
        for report in (meta, n8n_by_name, mitto, n8n_by_provider_id):
            assert (await report(client, row, "DELIVERED")).status_code == 200
            assert await state_of(chats, row) == ("DELIVERED", ["DELIVERED"], ["message.delivered"])


@pytest.mark.parametrize("report", [n8n_by_name, meta], ids=lambda door: door.__name__)
async def test_a_message_that_was_read_before_it_was_reported_delivered_stays_read(
    chats: Chats, report: Report
) -> None:
    row = await sent_message(chats)
    async with client_of(chats.app) as client:
        for status in ("READ", "DELIVERED", "READ"):
            assert (await report(client, row, status)).status_code == 200
            assert await state_of(chats, row) == ("READ", ["READ"], ["message.read"])


async def test_n8n_is_told_whether_a_report_about_a_chats_message_was_news(chats: Chats) -> None:
    row = await sent_message(chats)
    async with client_of(chats.app) as client:
        answers = [await n8n_by_name(client, row, "DELIVERED") for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"changed": True}, {"changed": False}]


async def test_a_failure_that_n8n_reports_is_told_with_its_reason(chats: Chats) -> None:
    row = await sent_message(chats)
    failure = {"status": "FAILED", "message": f"chat-message-{row.id}", "error": "the phone is off"}
    async with client_of(chats.app) as client:
        await client.post("/webhooks/n8n/statuses", json=failure, headers={"X-Tidings-Secret": SECRET})
    assert await state_of(chats, row) == ("FAILED", ["FAILED"], ["message.failed"])
    assert (await chats.message(row.id)).error_message == "the phone is off"
    assert [line.error for line in await ledger(chats.app, "chat-message", row.id)] == ["the phone is off"]
    [event] = await chats.events()
    assert event.payload["data"]["reason"] == "the phone is off"
