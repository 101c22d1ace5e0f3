"""What providers and widgets report about sent messages. A status only moves upward, in the row and in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select

from tidings.customer_webhooks import events
from tidings.features.chat.endings import log_use
from tidings.features.chat.jobs import CHAT_MESSAGE
from tidings.features.chat.models import Chatbot, ChatChannel, ChatMessage, Conversation
from tidings.messages.inbound.reports import DeliveryReports
from tidings.messages.kind import Report, idempotency_key
from tidings.messages.ledger import HANDED_OVER, DeliveryStatus, LedgerEntry
from tidings.messages.statuses import Status
from tidings.providers.reports import DeliveryReport
from tidings.work import Unit

_EVENTS = {
    DeliveryStatus.DELIVERED: events.MESSAGE_DELIVERED,
    DeliveryStatus.READ: events.MESSAGE_READ,
    DeliveryStatus.FAILED: events.MESSAGE_FAILED,
}


@dataclass(frozen=True, slots=True)
class Source:
    """Who reports: only about messages of these chatbots, on this channel."""

    channel: ChatChannel
    chatbot_ids: frozenset[int]


async def take_report(unit: Unit, reports: DeliveryReports, source: Source, report: DeliveryReport) -> bool:
    """Takes a provider's report; False when none of the source's messages has this id or reference (yet)."""
    message_id = await _find(unit, source, report)
    if message_id is None:
        return False
    status = DeliveryStatus(report.status)
    await reports.move(unit, CHAT_MESSAGE, message_id, status, at=report.at, error=report.error)
    return True


async def move_status(unit: Unit, message_id: int, report: Report, now: datetime) -> bool:
    """Moves a row's delivery status upward and tells the customer; False when the report is nothing new to it."""
    session, status = unit.session, report.status
    row = await session.get(ChatMessage, message_id, with_for_update=True, populate_existing=True)
    if row is None or DeliveryStatus(row.delivery_status or DeliveryStatus.PENDING) not in status.follows():
        return False
    row.delivery_status, row.updated_at = status, now
    row.error_message = report.error or row.error_message
    conversation, customer_id = (
        await session.execute(
            select(Conversation, Chatbot.customer_id)
            .join(Chatbot, Chatbot.id == Conversation.chatbot_id)
            .where(Conversation.id == row.conversation_id)
        )
    ).one()
    if row.status == Status.UNKNOWN:
        row.end_noted = True  # by what follows here
    left = row.status == Status.UNKNOWN and status is not DeliveryStatus.FAILED
    if left and ChatChannel(conversation.channel).is_whatsapp:
        await log_use(session, customer_id, conversation.chatbot_id, row.id, now)
    if event := events.MESSAGE_SENT if left and status is DeliveryStatus.SENT else _EVENTS.get(status):
        facts = {
            "message_id": row.id,
            "conversation_id": conversation.id,
            "chatbot_id": conversation.chatbot_id,
            "channel": conversation.channel,
            "external_user_id": conversation.external_user_id,
            "role": row.role,
            "delivery_status": status,
            **({"reason": report.error} if report.error else {}),
        }
        await events.emit(unit, customer_id, event, facts, now)
    return True


async def _find(unit: Unit, source: Source, report: DeliveryReport) -> int | None:
    """The message that a report is about: by our own reference, which is there before the provider's answer is."""
    session = unit.session
    theirs = and_(
        Conversation.id == ChatMessage.conversation_id,
        Conversation.channel == source.channel,
        Conversation.chatbot_id.in_(sorted(source.chatbot_ids)),
    )
    names: list[ColumnElement[bool]] = []
    if (own := own_id(report.reference)) is not None:
        names.append(ChatMessage.id == own)
    line = select(LedgerEntry.message_id).where(
        LedgerEntry.provider_message_id == report.provider_message_id,
        LedgerEntry.kind == CHAT_MESSAGE,
        LedgerEntry.outcome.in_(HANDED_OVER),
    )
    names.append(ChatMessage.id.in_(line))
    rows = (
        await session.execute(
            select(ChatMessage.id, ChatMessage.created_at).join(Conversation, theirs).where(or_(*names))
        )
    ).all()
    for row in rows:
        if row.id != own or idempotency_key(CHAT_MESSAGE, row.id, row.created_at) == report.reference:
            return int(row.id)
    return None


def own_id(reference: str | None) -> int | None:
    """The id in our own reference of a message."""
    number = (reference or "").removeprefix(f"{CHAT_MESSAGE}-").partition("-")[0]
    is_ours = (reference or "").startswith(f"{CHAT_MESSAGE}-") and number.isascii() and number.isdecimal()
    return int(number) if is_ours and len(number) <= 18 else None
