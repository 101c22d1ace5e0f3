"""What a channel cannot take of a person's text is refused at once with a sentence, and not later as a failure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chat.providers import Provider
from chat.support import NUMBER, Chats, OpenChats
from support.app import client_of
from tidings.features.chat.models import (
    ChatChannel,
    ChatMessage,
    Conversation,
    QrState,
    WhatsAppCloudAccount,
    WhatsAppQrSession,
)

CLOUD, QR, WIDGET = ChatChannel.WHATSAPP_CLOUD, ChatChannel.WHATSAPP_QR, ChatChannel.WIDGET
TEMPLATE = {"name": "we_have_news", "language": "en_US", "with_text": True}


async def post(chats: Chats, conversation: Conversation, content: str) -> tuple[int, str]:
    """What the API says to a person's text: the status, and the sentence."""
    path = f"/chat/chatbots/{conversation.chatbot_id}/conversations/{conversation.id}/messages"
    async with client_of(chats.app) as client:
        answer = await client.post(path, json={"content": content})
    return answer.status_code, answer.text


async def begun(chats: Chats, channel: ChatChannel, **bot: Any) -> Conversation:
    """A conversation in which somebody has just written, from a number or session that is connected."""
    chatbot = await chats.chatbot(**bot)
    if channel is CLOUD:
        await chats.cloud_account(chatbot)
    if channel is QR:
        await chats.qr_session(chatbot)
    via = {CLOUD: NUMBER, QR: "shop-1", WIDGET: None}[channel]
    who = {"external_user_id": "visitor-of-this-test"} if channel is WIDGET else {}
    stored = await chats.write(chatbot, "Hello?", channel=channel, via=via, **who)
    return await chats.conversation(stored.conversation_id)


@pytest.mark.parametrize(
    ("channel", "content", "changes", "status", "words"),
    [
        (CLOUD, "x" * 4097, {}, 422, ["4,097 characters", "4,096"]),
        (CLOUD, "x" * 4096, {}, 201, []),
        (CLOUD, " \n ", {}, 422, ["blank"]),
        (CLOUD, "\u200b\u2060", {}, 422, ["nothing that can be seen"]),
        (WIDGET, "\u200b", {}, 422, ["nothing that can be seen"]),
        (WIDGET, "x" * 10_001, {}, 422, ["10000"]),
        (WIDGET, "x" * 5000, {}, 201, []),
        (QR, "x" * 5000, {}, 201, []),
        (CLOUD, "Hi", {"hours": 25}, 409, ["24 hours", "whatsapp_template"]),
        (CLOUD, "Hi", {"hours": None}, 409, ["has not written yet", "whatsapp_template"]),
        (CLOUD, "Hi", {"hours": 23}, 201, []),
        (QR, "Hi", {"hours": 48}, 201, []),
        (WIDGET, "Hi", {"hours": 48}, 201, []),
        (CLOUD, "Hi", {"hours": 25, "template": TEMPLATE}, 201, []),
        (CLOUD, "x" * 1025, {"hours": 25, "template": TEMPLATE}, 422, ["1,025 characters", "1,024"]),
        (CLOUD, "x" * 1025, {"hours": 1, "template": TEMPLATE}, 201, []),
        (CLOUD, "Hi", {"address": "somebody"}, 409, ["neither a phone number nor a user id"]),
        (CLOUD, "Hi", {"address": "US.13491208655302741918"}, 201, []),
        (CLOUD, "Hi", {"address": "erased:1"}, 409, ["was erased"]),
        (CLOUD, "Hi", {"via": "4711"}, 409, ["4711 is not connected", "connect it again"]),
        (CLOUD, "Hi", {"via": None}, 409, ["no phone number is connected", "connect one"]),
        (CLOUD, "Hi", {"token": "garbage"}, 409, ["Enter it again"]),
        (QR, "Hi", {"via": "shop-2"}, 409, ["'shop-2' is not connected", "connect it again"]),
        (QR, "Hi", {"state": QrState.LOST}, 409, ["scan its QR code again"]),
    ],
)
async def test_a_persons_text_is_taken_or_refused_with_what_to_change(
    local: Chats, channel: ChatChannel, content: str, changes: dict[str, Any], status: int, words: list[str]
) -> None:
    template = changes.get("template")
    conversation = await begun(local, channel, **({"whatsapp_template": template} if template else {}))
    if "hours" in changes:
        hours = changes["hours"]
        last = None if hours is None else local.clock.now() - timedelta(hours=hours)
        await local.set(Conversation, conversation.id, last_user_message_at=last)
    if "address" in changes:
        await local.set(Conversation, conversation.id, external_user_id=changes["address"])
    if "via" in changes:
        await local.set(Conversation, conversation.id, via=changes["via"])
    if "token" in changes:
        await local.set(WhatsAppCloudAccount, 1, access_token=changes["token"])
    if "state" in changes:
        await local.set(WhatsAppQrSession, 1, state=changes["state"])
    before = await local.conversation(conversation.id)
    said = await post(local, conversation, content)
    assert said[0] == status, said
    for word in words:
        assert word in said[1]
    rows = await local.rows(ChatMessage, role="human")
    assert len(rows) == (status == 201)
    after = await local.conversation(conversation.id)
    assert (after.answered_turn == 1) == (status == 201)
    assert status == 201 or after.answer_due == before.answer_due  # the bot answers as it would have


@pytest.mark.both_databases
async def test_a_session_that_was_lost_takes_texts_again_once_it_is_connected_again(open_chats: OpenChats) -> None:
    async with Provider() as qr:
        chats = await open_chats(whatsapp_qr_url=qr.url)
        conversation = await begun(chats, QR)
        await chats.set(WhatsAppQrSession, 1, state=QrState.LOST)
        assert (await post(chats, conversation, "Hi"))[0] == 409
        await chats.chat.accounts.connect_whatsapp_qr(conversation.chatbot_id, {"session_id": "shop-1"})
        assert (await post(chats, conversation, "Hi"))[0] == 201
        await chats.start()
        assert (await qr.has(1))[0].text == "Hi"
