"""How often and how soon a message over WhatsApp is tried again: as the settings of its own queue say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chat.providers import Answer, Posted, Provider, refusal
from chat.support import Chats, OpenChats, seconds
from support.app import deliver, ledger, run_job
from support.workshop import eventually
from tidings.clock import ManualClock
from tidings.engine.jobs import GiveUpJob
from tidings.errors import SendError
from tidings.features.chat.jobs import OUTGOING_MESSAGE
from tidings.features.chat.models import ChatMessage
from tidings.messages.kind import MessageJob

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)
DOWN = 131000
"""Meta's code for something that went wrong on its side, which may pass."""


async def new_message(chats: Chats) -> ChatMessage:
    """A person's message that is to leave over WhatsApp."""
    bot = await chats.chatbot()
    await chats.cloud_account(bot)
    stored = await chats.write(bot, "Hello?")
    return await chats.reply(bot, stored.conversation_id, "Hi")


async def is_held(chats: Chats, message_id: int) -> ChatMessage:
    """The message, once its first attempt has failed and the second one has its time."""

    async def held() -> ChatMessage | None:
        row = await chats.message(message_id)
        return row if row.status == "scheduled" and row.attempts == 1 else None

    row = await eventually(held)
    assert row is not None
    return row


async def second_attempt(chats: Chats) -> tuple[float, float]:
    """Seconds until a message that Meta did not take is tried again: as its row says, and as its job is set."""
    await chats.start("outgoing-messages", "whatsapp-cloud-send")

    async def recovered() -> bool:
        return not await chats.app.queues.was_emptied()

    await eventually(recovered)  # so that nothing but the attempt itself sets the job
    message = await new_message(chats)
    row = await is_held(chats, message.id)

    async def waiting() -> float | None:
        return await chats.seconds_until("whatsapp-cloud-send", f"chat-message-{message.id}") or None

    by_job = await eventually(waiting)
    assert by_job is not None
    return seconds(chats.clock.now(), row.held_until), by_job


async def test_the_cloud_queues_backoff_says_when_a_message_is_tried_again(open_chats: OpenChats) -> None:
    async with Provider(lambda posted: refusal(DOWN, 500)) as graph:
        settings = {"WHATSAPP_CLOUD_SEND_BACKOFF": "600"}
        chats = await open_chats(whatsapp_graph_url=graph.url, queue_settings=settings)
        by_row, by_job = await second_attempt(chats)
        assert len(graph.posted) == 1
    assert by_row == pytest.approx(600, abs=30)
    assert by_job == pytest.approx(600, abs=30)


async def test_the_backoff_of_the_queue_that_routes_puts_off_no_attempt_at_meta(open_chats: OpenChats) -> None:
    async with Provider(lambda posted: refusal(DOWN, 500) if len(graph.posted) == 1 else None) as graph:
        settings = {"OUTGOING_MESSAGES_BACKOFF": "600"}
        chats = await open_chats(whatsapp_graph_url=graph.url, queue_settings=settings)
        message = await new_message(chats)
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        [row] = await chats.answers(1)
        assert len(graph.posted) == 2
    assert (row.id, row.status, row.attempts) == (message.id, "sent", 2)


async def test_a_message_has_as_many_attempts_as_its_queue_is_set_to_and_fails_with_metas_reason(
    open_chats: OpenChats,
) -> None:
    clock = ManualClock(NOW)
    async with Provider(lambda posted: refusal(DOWN, 500)) as graph:
        settings = {"WHATSAPP_CLOUD_SEND_ATTEMPTS": "20"}
        chats = await open_chats(whatsapp_graph_url=graph.url, clock=clock, queue_settings=settings)
        message = await new_message(chats)
        await run_job(chats.app, OUTGOING_MESSAGE, MessageJob(id=message.id))
        for attempt in range(1, 20):
            with pytest.raises(SendError, match=rf"#{DOWN}"):
                await deliver(chats.app, "chat-message", message.id, attempt=attempt)
            row = await chats.message(message.id)
            assert row.status == "scheduled"
            assert seconds(clock.now(), row.held_until) == pytest.approx(0.1 * 2 ** (attempt - 1), rel=1e-6)
            clock.move(timedelta(seconds=seconds(clock.now(), row.held_until)))
        with pytest.raises(GiveUpJob, match=rf"#{DOWN}"):
            await deliver(chats.app, "chat-message", message.id, attempt=20, last=True)
        assert len(graph.posted) == 20
    row = await chats.message(message.id)
    assert (row.status, row.attempts) == ("failed", 20)
    assert f"(#{DOWN})" in (row.error_message or "")
    lines = await ledger(chats.app, "chat-message", message.id)
    assert [line.outcome for line in lines] == ["retry"] * 19 + ["failed"]


async def test_the_last_of_many_attempts_is_the_one_that_the_settings_name(open_chats: OpenChats) -> None:
    """With workers, so that BullMQ counts the attempts."""
    async with Provider(lambda posted: refusal(DOWN, 500)) as graph:
        settings = {"WHATSAPP_CLOUD_SEND_ATTEMPTS": "6", "WHATSAPP_CLOUD_SEND_BACKOFF": "0.01"}
        chats = await open_chats(whatsapp_graph_url=graph.url, queue_settings=settings)
        await new_message(chats)
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        [row] = await chats.answers(1, status=("failed",))
        assert len(graph.posted) == 6
    assert row.attempts == 6
    assert f"(#{DOWN})" in (row.error_message or "")


async def test_the_qr_queue_has_a_backoff_of_its_own(open_chats: OpenChats) -> None:
    def down(posted: Posted) -> Answer:
        return 500, {"error": "starting"}

    async with Provider(down) as qr:
        settings = {"WHATSAPP_QR_SEND_BACKOFF": "600", "WHATSAPP_CLOUD_SEND_BACKOFF": "1"}
        chats = await open_chats(whatsapp_qr_url=qr.url, queue_settings=settings)
        bot = await chats.chatbot()
        await chats.qr_session(bot)
        stored = await chats.write(bot, "Hello?", channel="whatsapp_qr", via="shop-1")
        message = await chats.reply(bot, stored.conversation_id, "Hi")
        await chats.start("outgoing-messages", "whatsapp-qr-send")
        row = await is_held(chats, message.id)
    assert seconds(chats.clock.now(), row.held_until) == pytest.approx(600, abs=30)
