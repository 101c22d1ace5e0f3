"""Whether what a person writes can be taken by the conversation's channel, found out before anything is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import ConfigurationError, Conflict, InvalidInput
from tidings.features.chat.models import (
    Chatbot,
    ChatChannel,
    Conversation,
    QrState,
    WhatsAppCloudAccount,
    WhatsAppQrSession,
)
from tidings.features.chat.rules.window import is_late
from tidings.features.chat.secrets import account_context
from tidings.providers.whatsapp_cloud.send import MAX_PARAMETER, MAX_TEXT, is_recipient
from tidings.vault import Vault


async def require_sendable(
    session: AsyncSession, vault: Vault, chatbot: Chatbot, conversation: Conversation, content: str, now: datetime
) -> None:
    """Raises InvalidInput for a text that the channel never takes, Conflict where it takes none as things stand.

    What only the provider can know is found out when it is sent.
    """
    if not any(c.isprintable() and not c.isspace() for c in content):
        raise InvalidInput("content", "has nothing that can be seen; write something")
    if conversation.external_user_id == f"erased:{conversation.id}":
        raise Conflict("this user was erased, so nobody knows where to write to")
    match conversation.channel:
        case ChatChannel.WHATSAPP_CLOUD:
            _require_length(content, MAX_TEXT, "WhatsApp takes {most:,}; shorten it, or write several messages")
            if not is_recipient(conversation.external_user_id):
                raise Conflict("the conversation has neither a phone number nor a user id of WhatsApp to write to")
            await _require_account(session, vault, conversation)
            _require_window(chatbot, conversation, content, now)
        case ChatChannel.WHATSAPP_QR:
            await _require_session(session, conversation)


async def _require_account(session: AsyncSession, vault: Vault, conversation: Conversation) -> None:
    query = select(WhatsAppCloudAccount).where(
        WhatsAppCloudAccount.phone_number_id == conversation.via,
        WhatsAppCloudAccount.chatbot_id == conversation.chatbot_id,
    )
    account = await session.scalar(query)
    if account is None:
        number = f"phone number ID {conversation.via}" if conversation.via else "no phone number"
        raise Conflict(_unconnected(number, conversation))
    try:
        vault.open(account.access_token, account_context("access_token", account.phone_number_id))
    except ConfigurationError as error:
        raise Conflict(str(error)) from error


def _require_window(chatbot: Chatbot, conversation: Conversation, content: str, now: datetime) -> None:
    """Outside of it WhatsApp takes a template, in whose parameter the text may stand."""
    last, template = conversation.last_user_message_at, chatbot.whatsapp_template
    if last is not None and not is_late(last, now):
        return
    if not template:
        when = "has not written yet" if last is None else "wrote more than 24 hours ago"
        raise Conflict(
            f"the user {when}, so WhatsApp takes no free text; "
            "set the chatbot's whatsapp_template to an approved template, or wait until the user writes"
        )
    if template.get("with_text"):
        text = " ".join(content.split())
        why = "the user wrote more than 24 hours ago, and the template's parameter takes {most:,}; shorten it"
        _require_length(text, MAX_PARAMETER, why)


async def _require_session(session: AsyncSession, conversation: Conversation) -> None:
    query = select(WhatsAppQrSession).where(
        WhatsAppQrSession.session_id == conversation.via,
        WhatsAppQrSession.chatbot_id == conversation.chatbot_id,
    )
    row = await session.scalar(query)
    if row is None:
        name = f"session {conversation.via!r}" if conversation.via else "no session"
        raise Conflict(_unconnected(name, conversation))
    if row.state == QrState.LOST:
        raise Conflict(
            f"session {conversation.via!r} has lost its connection to WhatsApp; scan its QR code again, "
            "then connect it to the chatbot again"
        )


def _unconnected(what: str, conversation: Conversation) -> str:
    if conversation.via is None:
        return f"{what} is connected to chatbot {conversation.chatbot_id}; connect one"
    return f"{what} is not connected to chatbot {conversation.chatbot_id}; connect it again"


def _require_length(text: str, most: int, why: str) -> None:
    if len(text) > most:
        raise InvalidInput("content", f"has {len(text):,} characters, and {why.format(most=most)}")
