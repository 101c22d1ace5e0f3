"""What providers and widgets report about sent messages. A status only moves upward, in the row and in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, or_, select

from tidings.customer_webhooks import events
from tidings.features.chat.jobs import MESSAGE_KIND
from tidings.features.chat.kind import idempotency_key
from tidings.features.chat.models import Chatbot, ChatChannel, Conversation, Message
from tidings.messages.ledger import Delivery, DeliveryStatus, Outcome
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


async def take_report(unit: Unit, source: Source, report: DeliveryReport, now: datetime) -> bool:
    """Notes a provider's report; False when none of the source's messages has this id or reference (yet)."""
    message_id = await _find(unit, source, report)
    if message_id is None:
        return False
    await move_status(unit, message_id, DeliveryStatus(report.status), report.at or now, now, error=report.error)
    return True


async def move_status(
    unit: Unit, message_id: int, status: DeliveryStatus, at: datetime, now: datetime, *, error: str | None = None
) -> bool:
    """Moves a message's delivery status upward, with its line in the ledger, and tells the customer.

    False when the status is nothing new. `at` is when it happened (UTC).
    """
    session = unit.session
    row = await session.get(Message, message_id, with_for_update=True, populate_existing=True)
    if row is None or DeliveryStatus(row.delivery_status or DeliveryStatus.PENDING) not in status.follows():
        return False
    failed = status is DeliveryStatus.FAILED
    row.delivery_status, row.updated_at = status, now
    reason = error or "the provider reported that it was not delivered"
    if failed:
        row.error_message = reason
    line = await session.scalar(
        select(Delivery)
        .where(Delivery.kind == MESSAGE_KIND, Delivery.message_id == row.id, Delivery.outcome == Outcome.SENT)
        .order_by(Delivery.id.desc())
        .limit(1)
        .with_for_update()
    )
    if line is not None:
        line.delivery_status, line.delivery_status_at = status, min(at, now).astimezone(UTC)
        line.error = reason if failed else line.error
    conversation, customer_id = (
        await session.execute(
            select(Conversation, Chatbot.customer_id)
            .join(Chatbot, Chatbot.id == Conversation.chatbot_id)
            .where(Conversation.id == row.conversation_id)
        )
    ).one()
    if event := _EVENTS.get(status):
        facts = {
            "message_id": row.id,
            "conversation_id": conversation.id,
            "chatbot_id": conversation.chatbot_id,
            "channel": conversation.channel,
            "external_user_id": conversation.external_user_id,
            "role": row.role,
            "delivery_status": status,
            **({"reason": reason} if failed else {}),
        }
        await events.emit(unit, customer_id, event, facts, now)
    return True


async def _find(unit: Unit, source: Source, report: DeliveryReport) -> int | None:
    """The message that a report is about: by our own reference, which is there before the provider's answer is."""
    session = unit.session
    theirs = and_(
        Conversation.id == Message.conversation_id,
        Conversation.channel == source.channel,
        Conversation.chatbot_id.in_(sorted(source.chatbot_ids)),
    )
    names: list[ColumnElement[bool]] = []
    if (own := _own_id(report.reference)) is not None:
        names.append(Message.id == own)
    line = select(Delivery.message_id).where(
        Delivery.provider_message_id == report.provider_message_id,
        Delivery.kind == MESSAGE_KIND,
        Delivery.outcome == Outcome.SENT,
    )
    names.append(Message.id.in_(line))
    rows = (
        await session.execute(select(Message.id, Message.created_at).join(Conversation, theirs).where(or_(*names)))
    ).all()
    for row in rows:
        if row.id != own or idempotency_key(row.id, row.created_at) == report.reference:
            return int(row.id)
    return None


def _own_id(reference: str | None) -> int | None:
    number = (reference or "").removeprefix(f"{MESSAGE_KIND}-").partition("-")[0]
    is_ours = (reference or "").startswith(f"{MESSAGE_KIND}-") and number.isascii() and number.isdecimal()
    return int(number) if is_ours and len(number) <= 18 else None
