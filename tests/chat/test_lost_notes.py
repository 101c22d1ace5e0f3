"""What follows from the end of a chat's message is not lost with one error: recovery writes it once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from chat.providers import Provider
from chat.support import Chats, OpenChats
from support.app import client_of
from support.workshop import eventually
from tidings.engine.jobs import Job
from tidings.features.chat.models import ChatMessage, UsageKind, UsageLog
from tidings.messages.kind import Ended
from tidings.messages.ledger import DeliveryStatus

SECRET = "n8n-secret-of-this-test"
TOLD = ("message.sent", "message.delivered", "message.failed")


class Lost:
    """Has what follows from the ends of chats' messages fail, after it was written, for as long as `failing`."""

    def __init__(self, chats: Chats) -> None:
        self._kind: Any = chats.app.kinds["chat-message"]
        self._on_ended, self._kind.on_ended = self._kind.on_ended, self._lose
        self.failing = True

    async def _lose(self, connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        jobs: Sequence[Job] = await self._on_ended(connection, ended)
        if self.failing:
            raise RuntimeError("deadlock detected")
        return jobs


async def report_delivery(chats: Chats, row: ChatMessage) -> None:
    async with client_of(chats.app) as client:
        report = {"status": "DELIVERED", "message": f"chat-message-{row.id}"}
        await client.post("/webhooks/n8n/statuses", json=report, headers={"X-Tidings-Secret": SECRET})


async def told(chats: Chats) -> list[str]:
    return sorted(event.event for event in await chats.events())


@pytest.mark.both_databases
async def test_a_sent_message_whose_note_was_lost_is_charged_for_and_told_of_once(open_chats: OpenChats) -> None:
    async with Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url, n8n_inbound_secret=SECRET)
        bot = await chats.chatbot()
        await chats.cloud_account(bot)
        await chats.endpoint(bot, "http://127.0.0.1:9/", *TOLD)
        stored = await chats.write(bot, "Hello?")
        lost = Lost(chats)
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        quick, slow = [await chats.reply(bot, stored.conversation_id, text) for text in ("Hi", "How can we help?")]
        await eventually(lambda: is_sent(chats, quick))
        await report_delivery(chats, quick)
        assert await told(chats) == ["message.delivered"]
        lost.failing = False
        await chats.app.recovery.check()
        await eventually(lambda: is_sent(chats, slow))
        await chats.app.recovery.check()
        rows = [await chats.message(row.id) for row in (quick, slow)]
        assert [row.delivery_status for row in rows] == [DeliveryStatus.DELIVERED, DeliveryStatus.SENT]
        assert all(row.details["whatsapp_message_id"] for row in rows)
        assert await told(chats) == ["message.delivered", "message.sent", "message.sent"]
        assert sorted(use.message_id for use in await chats.rows(UsageLog, kind=UsageKind.WHATSAPP)) == [
            quick.id,
            slow.id,
        ]


@pytest.mark.both_databases
async def test_a_failed_message_whose_note_was_lost_is_told_of_with_its_reason(open_chats: OpenChats) -> None:
    chats = await open_chats()
    bot = await chats.chatbot()
    await chats.endpoint(bot, "http://127.0.0.1:9/", *TOLD)
    stored = await chats.write(bot, "Hello?")
    lost = Lost(chats)
    await chats.start("outgoing-messages", "whatsapp-cloud-send")
    row = await chats.reply_of_bot(stored.conversation_id, "Hi")  # from a number that is not connected
    await eventually(lambda: is_failed(chats, row))
    assert await told(chats) == []
    lost.failing = False
    await chats.app.recovery.check()
    [event] = await chats.events()
    assert event.event == "message.failed"
    assert "is not connected to chatbot" in event.payload["data"]["reason"]
    assert (await chats.message(row.id)).delivery_status == DeliveryStatus.FAILED


async def is_sent(chats: Chats, row: ChatMessage) -> bool:
    return (await chats.message(row.id)).status == "sent"


async def is_failed(chats: Chats, row: ChatMessage) -> bool:
    return (await chats.message(row.id)).status == "failed"
