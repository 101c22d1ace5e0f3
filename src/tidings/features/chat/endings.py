"""What follows from the end of a chat's message: its delivery status, what is charged for, and who is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.customer_webhooks import events
from tidings.engine.jobs import Job
from tidings.features.chat.jobs import CHAT_MESSAGE
from tidings.features.chat.models import ChatChannel, ChatMessage, UsageKind, UsageLog
from tidings.messages.kind import Ended
from tidings.messages.ledger import HANDED_OVER, DeliveryStatus, LedgerEntry
from tidings.messages.statuses import LEFT, Status

_ROW = ChatMessage.__table__.c


async def note_end(connection: AsyncConnection, one: Ended, provider_id: str | None, now: datetime) -> list[Job]:
    """Notes with a message how it ended, and tells its customer; returns the jobs of what is told.

    Of one whose outcome is unknown nothing is told before it is settled, which a report may have done already.
    """
    row, message = one.message.row, one.message
    present = (
        await connection.execute(
            select(_ROW.delivery_status, _ROW.metadata, _ROW.error_message).where(_ROW.id == message.id)
        )
    ).one()
    settled = one.status is Status.UNKNOWN and present.delivery_status not in (None, row["delivery_status"])
    if one.status is Status.UNKNOWN:
        failed = present.delivery_status == DeliveryStatus.FAILED
        known = settled and present.delivery_status != DeliveryStatus.PENDING
        values: dict[str, Any] = {"end_noted": True}
        if known:
            values |= {"status": Status.FAILED} if failed else {"status": Status.SENT, "error_message": None}
        await connection.execute(update(ChatMessage).where(ChatMessage.id == message.id).values(values))
        if failed or not known:  # the report has told it already, or will
            return []
    sent = one.status in LEFT
    status = None if one.status is Status.SIMULATED else DeliveryStatus.SENT if sent else DeliveryStatus.FAILED
    # A quick provider's report may have come before this.
    reported = settled or (
        sent
        and (
            present.delivery_status in (DeliveryStatus.DELIVERED, DeliveryStatus.READ)
            or (present.delivery_status == DeliveryStatus.FAILED != row["delivery_status"])
        )
    )
    details = dict(present.metadata)
    if provider_id and ChatChannel(row["channel"]).is_whatsapp:
        details["whatsapp_message_id"] = provider_id
    await connection.execute(
        update(ChatMessage)
        .where(ChatMessage.id == message.id)
        .values(
            {
                ChatMessage.delivery_status: present.delivery_status if reported else status,
                ChatMessage.details: details,
                ChatMessage.end_noted: True,
            }
        )
    )
    if reported:
        await _raise_line(connection, message.id, present.delivery_status, now)
    if one.status is Status.SIMULATED:  # nobody got it: nothing is charged, and nobody is told
        return []
    if sent and ChatChannel(row["channel"]).is_whatsapp:
        await log_use(connection, row["customer_id"], row["chatbot_id"], row["id"], now)
    reason = one.reason.sentence if one.reason else present.error_message
    facts = {
        "message_id": message.id,
        **{
            name: row[name]
            for name in ("conversation_id", "chatbot_id", "channel", "external_user_id", "role", "content")
        },
        **({"whatsapp_message_id": provider_id} if "whatsapp_message_id" in details else {}),
        **({} if sent else {"reason": reason}),
    }
    event = events.MESSAGE_SENT if sent else events.MESSAGE_FAILED
    return await events.record(connection, row["customer_id"], event, facts, now)


async def find_provider_ids(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, str]:
    """The provider's ids of messages that left just now, from their lines in the ledger."""
    if not ids:
        return {}
    rows = await connection.execute(
        select(LedgerEntry.message_id, LedgerEntry.provider_message_id)
        .where(
            LedgerEntry.kind == CHAT_MESSAGE, LedgerEntry.message_id.in_(ids), LedgerEntry.outcome.in_(HANDED_OVER)
        )
        .order_by(LedgerEntry.id)
    )
    return {message_id: provider_id for message_id, provider_id in rows if provider_id}


async def _raise_line(connection: AsyncConnection, message_id: int, status: str, now: datetime) -> None:
    await connection.execute(
        update(LedgerEntry)
        .where(
            LedgerEntry.kind == CHAT_MESSAGE,
            LedgerEntry.message_id == message_id,
            LedgerEntry.outcome.in_(HANDED_OVER),
        )
        .values(delivery_status=status, delivery_status_at=now)
    )


async def log_use(
    connection: AsyncConnection | AsyncSession, customer_id: int, chatbot_id: int, message_id: int, now: datetime
) -> None:
    """Charges a customer for a message that left by WhatsApp, once."""
    logged = select(UsageLog.id).where(UsageLog.message_id == message_id, UsageLog.kind == UsageKind.WHATSAPP)
    if (await connection.execute(logged)).first() is None:
        await connection.execute(
            insert(UsageLog).values(
                customer_id=customer_id,
                chatbot_id=chatbot_id,
                message_id=message_id,
                kind=UsageKind.WHATSAPP,
                quantity=1,
                at=now,
            )
        )
