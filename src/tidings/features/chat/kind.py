"""How the messages of chats leave: what is loaded for a claimed row, and what follows from its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import Clock
from tidings.customer_webhooks import events
from tidings.engine.jobs import Job
from tidings.engine.policy import QueuePolicy
from tidings.features.chat.conversations.order import alarm, release_next
from tidings.features.chat.jobs import MESSAGE_KIND
from tidings.features.chat.models import Chatbot, ChatChannel, Conversation, Message, Role, UsageKind, UsageLog
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.terms import TRANSACTIONAL, Terms
from tidings.messages.kind import Conclusion, Content, Letter, Outbox
from tidings.messages.ledger import Delivery, DeliveryStatus, Outcome
from tidings.messages.statuses import Reason, Status

WINDOW = timedelta(hours=24)
"""How long after a user's message WhatsApp takes free text (Cloud API, customer service window)."""

NOTICE = Terms(despite_opt_out=True)
"""The terms of answers to STOP, START and HELP."""

_ROW, _CONVERSATION = Message.__table__.c, Conversation.__table__.c
_CHATBOT, _CONTRACTOR = Chatbot.__table__.c, Contractor.__table__.c

LOADED = (
    select(
        *(
            _ROW[name]
            for name in (
                *("id", "conversation_id", "role", "content", "author", "turn", "scheduled_time", "attempts"),
                *("metadata", "delivery_status", "created_at"),
            )
        ),
        *(
            _CONVERSATION[name]
            for name in ("chatbot_id", "channel", "external_user_id", "via", "taken_over_at", "last_user_message_at")
        ),
        *(_CHATBOT[name] for name in ("customer_id", "whatsapp_template")),
        _CONTRACTOR.id.label("contractor_id"),
        _CONTRACTOR.timezone.label("timezone"),
    )
    .join(_CONVERSATION.id.table, _CONVERSATION.id == _ROW.conversation_id)
    .join(_CHATBOT.id.table, _CHATBOT.id == _CONVERSATION.chatbot_id)
    .outerjoin(
        _CONTRACTOR.id.table,
        and_(_CONTRACTOR.phone == _CONVERSATION.external_user_id, _CONVERSATION.channel != ChatChannel.WIDGET),
    )
)
"""Messages with their conversation, chatbot and, where the number is known, contractor."""


def idempotency_key(message_id: int, created_at: datetime) -> str:
    """The same for every attempt, and different in a database that counts from 1 again."""
    return f"{MESSAGE_KIND}-{message_id}-{int(created_at.timestamp() * 1_000_000)}"


@dataclass(frozen=True)
class ChatMail:
    """The parts of the outbox that need the clock."""

    clock: Clock

    async def load(self, connection: AsyncConnection, ids: Sequence[int]) -> list[Letter]:
        """The letters of claimed rows."""
        rows = (await connection.execute(LOADED.where(_ROW.id.in_(ids)))).mappings()
        return [self._letter(dict(row)) for row in rows]

    def _letter(self, row: Mapping[str, Any]) -> Letter:
        notice = "notice" in row["metadata"]
        silenced = row["role"] == Role.ASSISTANT and row["taken_over_at"] is not None and not notice
        channel = ChatChannel(row["channel"])
        return Letter(
            id=row["id"],
            contact_id=row["contractor_id"],
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel=channel,
            address=row["external_user_id"],
            idempotency_key=idempotency_key(row["id"], row["created_at"]),
            row=row,
            terms=NOTICE if notice else TRANSACTIONAL,
            timezone=row["timezone"],
            obsolete=Reason.TAKEN_OVER if silenced else None,
            # Each number and session has a pace of its own: one customer's limit slows nobody else.
            sender=f"{channel}:{row['via']}" if channel.is_whatsapp and row["via"] else None,
        )

    async def compose(self, letter: Letter) -> Content:
        """The text as it was stored, and what its channel needs to know."""
        row = letter.row
        last = row["last_user_message_at"]
        return Content(
            text=row["content"],
            metadata={
                "message_id": row["id"],
                "conversation_id": row["conversation_id"],
                "chatbot_id": row["chatbot_id"],
                "customer_id": row["customer_id"],
                "role": row["role"],
                "turn": row["turn"],
                "via": row["via"],
                "window_open": last is not None and self.clock.now() < last + WINDOW,
                "template": row["whatsapp_template"],
            },
        )

    async def conclude(self, connection: AsyncConnection, conclusions: Sequence[Conclusion]) -> list[Job]:
        """Notes what became of messages, tells the customers, and lets the next of each conversation go."""
        now = self.clock.now()
        sent_ids = [one.letter.id for one in conclusions if one.status is Status.SENT]
        provider_ids = await _provider_ids(connection, sent_ids)
        jobs: list[Job] = []
        for one in sorted(conclusions, key=lambda one: one.letter.id):
            jobs += await self._note(connection, one, provider_ids.get(one.letter.id), now)
        conversations = {one.letter.row["conversation_id"] for one in conclusions}
        return [*jobs, *await release_next(connection, conversations, now)]

    async def _note(
        self, connection: AsyncConnection, one: Conclusion, provider_id: str | None, now: datetime
    ) -> list[Job]:
        row, letter = one.letter.row, one.letter
        sent = one.status is Status.SENT
        present = (
            await connection.execute(
                select(_ROW.delivery_status, _ROW.metadata, _ROW.error_message).where(_ROW.id == letter.id)
            )
        ).one()
        status = DeliveryStatus.SENT if sent else DeliveryStatus.FAILED
        # A quick provider's report may have come before this.
        reported = sent and (
            present.delivery_status in (DeliveryStatus.DELIVERED, DeliveryStatus.READ)
            or (present.delivery_status == DeliveryStatus.FAILED != row["delivery_status"])
        )
        details = dict(present.metadata)
        if provider_id and ChatChannel(row["channel"]).is_whatsapp:
            details["whatsapp_message_id"] = provider_id
        await connection.execute(
            update(Message)
            .where(Message.id == letter.id)
            .values(
                {Message.delivery_status: present.delivery_status if reported else status, Message.details: details}
            )
        )
        if reported:
            await _raise_line(connection, letter.id, present.delivery_status, now)
        if sent and ChatChannel(row["channel"]).is_whatsapp:
            await self._log_use(connection, row, now)
        reason = one.reason.sentence if one.reason else present.error_message
        facts = {
            "message_id": letter.id,
            **{
                name: row[name]
                for name in ("conversation_id", "chatbot_id", "channel", "external_user_id", "role", "content")
            },
            **({"whatsapp_message_id": provider_id} if "whatsapp_message_id" in details else {}),
            **({} if sent else {"reason": reason}),
        }
        event = events.MESSAGE_SENT if sent else events.MESSAGE_FAILED
        return await events.record(connection, row["customer_id"], event, facts, now)

    async def _log_use(self, connection: AsyncConnection, row: Mapping[str, Any], now: datetime) -> None:
        logged = select(UsageLog.id).where(UsageLog.message_id == row["id"], UsageLog.kind == UsageKind.WHATSAPP)
        if (await connection.execute(logged)).first() is None:
            await connection.execute(
                insert(UsageLog).values(
                    customer_id=row["customer_id"],
                    chatbot_id=row["chatbot_id"],
                    message_id=row["id"],
                    kind=UsageKind.WHATSAPP,
                    quantity=1,
                    at=now,
                )
            )


def when_sent(letter: Letter, content: Content, moment: datetime) -> dict[str, Any]:
    """When it left."""
    return {"sent_at": moment}


def chat_outbox(queue: QueuePolicy, clock: Clock) -> Outbox:
    """The outbox of chats; `queue` is outgoing-messages as it is configured, the first that a message takes."""
    mail = ChatMail(clock)
    return Outbox(
        kind=MESSAGE_KIND,
        queue=queue,
        model=Message,
        alarm=alarm,
        load=mail.load,
        compose=mail.compose,
        when_sent=when_sent,
        conclude=mail.conclude,
    )


async def _provider_ids(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, str]:
    """The provider's ids of messages that left just now, from their lines in the ledger."""
    if not ids:
        return {}
    rows = await connection.execute(
        select(Delivery.message_id, Delivery.provider_message_id)
        .where(Delivery.kind == MESSAGE_KIND, Delivery.message_id.in_(ids), Delivery.outcome == Outcome.SENT)
        .order_by(Delivery.id)
    )
    return {message_id: provider_id for message_id, provider_id in rows if provider_id}


async def _raise_line(connection: AsyncConnection, message_id: int, status: str, now: datetime) -> None:
    await connection.execute(
        update(Delivery)
        .where(Delivery.kind == MESSAGE_KIND, Delivery.message_id == message_id, Delivery.outcome == Outcome.SENT)
        .values(delivery_status=status, delivery_status_at=now)
    )
