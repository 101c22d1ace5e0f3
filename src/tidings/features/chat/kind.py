"""The kind of chats' messages: what is loaded for a claimed row, and what follows from its end and from reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, false, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import Clock
from tidings.customer_webhooks.kind import WebhookEvents
from tidings.db.rows import locked_ids
from tidings.engine.jobs import Job, JobType
from tidings.errors import ConfigurationError, SendError
from tidings.features.chat.conversations.order import release_next
from tidings.features.chat.conversations.reports import move_status
from tidings.features.chat.endings import find_provider_ids, note_end
from tidings.features.chat.jobs import CHAT_MESSAGE, OUTGOING_MESSAGE, SENDS
from tidings.features.chat.loaded import LOADED
from tidings.features.chat.models import (
    UNFOLLOWED,
    ChatChannel,
    ChatMessage,
    Conversation,
    QrState,
    Role,
    WhatsAppQrSession,
)
from tidings.features.chat.rules.window import is_late
from tidings.features.chat.secrets import account_context
from tidings.features.chat.whatsapp.preferences import Preference, note_refusals
from tidings.messages.contacts.addresses import first_contacts
from tidings.messages.gate.opt_outs import Reach
from tidings.messages.gate.terms import TRANSACTIONAL, Purpose, Terms
from tidings.messages.kind import Addressee, Content, Ended, Message, MessageKind, Report
from tidings.messages.statuses import TAKEN, Reason
from tidings.messages.tenants import customer_tenant
from tidings.providers.base import Account
from tidings.providers.whatsapp_cloud.errors import CloudError
from tidings.providers.whatsapp_cloud.send import CloudAccount
from tidings.providers.whatsapp_qr import QrError, QrSession
from tidings.vault import Vault
from tidings.work import Unit, Work

ANSWER = Terms(despite_opt_out=True)
"""The terms of what answers a user, who wrote within 24 hours, and of what is said about STOP, START and HELP."""


MARKETING = Terms(Purpose.PROMOTIONAL)
"""The terms of a marketing template, which goes to nobody who stopped promotions."""

ERASED_AT_ONCE = 250
"""Users' messages that one unit of work empties."""


class ChatMessages(MessageKind):
    """What chatbots and people of customers write to users.

    `vault` opens the tokens of their WhatsApp accounts, `reach` is whom an opt-out concerns.
    """

    name = CHAT_MESSAGE
    model = ChatMessage
    job_type = OUTGOING_MESSAGE
    loaded = LOADED
    unfollowed = UNFOLLOWED

    def __init__(self, clock: Clock, vault: Vault, reach: Reach) -> None:
        self.clock = clock
        self._vault = vault
        self._reach = reach

    @classmethod
    def job_type_of(cls, row: Any) -> JobType[Any]:
        """That of the queue which the message is to take next."""
        return SENDS[row.queue]

    @classmethod
    def job_types(cls) -> tuple[JobType[Any], ...]:
        """Every job that sends a message; of the widget's, the one that routes the others."""
        return tuple(SENDS.values())

    @classmethod
    def contact_of(cls, row: Any) -> int | None:
        """Rows do not know their contact; it is found by the conversation's number."""
        return None

    @classmethod
    def tenant_of(cls, row: Any) -> str | None:
        """Rows do not know their customer, whose chatbot it is."""
        return None

    @classmethod
    def written_to(cls, whom: Addressee) -> ColumnElement[bool]:
        """What was written in the conversations that the person's numbers and ids have."""
        return ChatMessage.conversation_id.in_(_conversations(whom)) & (ChatMessage.role != Role.USER)

    @classmethod
    def heard_from(cls, whom: Addressee) -> Select[int, datetime, str]:
        """What they wrote there."""
        theirs = ChatMessage.conversation_id.in_(_conversations(whom))
        return select(ChatMessage.id, ChatMessage.created_at, ChatMessage.content).where(
            theirs, ChatMessage.role == Role.USER
        )

    @classmethod
    def about(cls, row: Any) -> str:
        """Who wrote it."""
        return "notice in a chat" if "notice" in row.details else f"chat, from {row.author or 'the chatbot'}"

    personal: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("author", "error_message", "external_id")),
        "content": "",
        "metadata": {},
    }

    @classmethod
    async def erase_person(cls, work: Work, whom: Addressee) -> Mapping[str, int]:
        """What they wrote, and then by which number."""
        query = select(ChatMessage.id).where(ChatMessage.conversation_id.in_(_conversations(whom)))
        async with work.read() as session:
            ids = sorted(await session.scalars(query.where(ChatMessage.role == Role.USER)))
        for start in range(0, len(ids), ERASED_AT_ONCE):
            async with work.begin() as unit:
                some = locked_ids(ChatMessage, ChatMessage.id.in_(ids[start : start + ERASED_AT_ONCE]))
                table = ChatMessage.metadata.tables[ChatMessage.__tablename__]
                await unit.session.execute(update(table).where(table.c.id.in_(some)).values(dict(cls.personal)))
        async with work.begin() as unit:
            rows = await unit.session.scalars(
                select(Conversation)
                .where(Conversation.id.in_(_conversations(whom)))
                .order_by(Conversation.id)
                .with_for_update(key_share=True)
            )
            conversations = rows.all()
            for row in conversations:
                row.name, row.details, row.external_user_id, row.user_id = None, {}, f"erased:{row.id}", None
                row.answer_due = row.answer_by = None
        return {Conversation.__tablename__: len(conversations), ChatMessage.__tablename__: len(ids)}

    @classmethod
    def columns_when_claimed(cls) -> dict[str, Any]:
        """What follows from the end that this taking comes to is not written yet."""
        return {"end_noted": false()}

    async def load(self, connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> Sequence[Message]:
        """The messages, with the contacts whose numbers the conversations' users have."""
        users = {row["external_user_id"] for row in rows if row["channel"] != ChatChannel.WIDGET}
        contacts = await first_contacts(connection, users)
        nobody = (None, None)
        for row in rows:
            known = contacts.get(row["external_user_id"], nobody) if row["channel"] != ChatChannel.WIDGET else nobody
            row["contractor_id"], row["timezone"] = known
        return [self.message(row) for row in rows]

    def message(self, row: Mapping[str, Any]) -> Message:
        notice = "notice" in row["metadata"]
        silenced = row["role"] == Role.ASSISTANT and row["taken_over_at"] is not None and not notice
        account = self._account(row)
        return Message(
            id=row["id"],
            contact_id=row.get("contractor_id"),
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel=row["channel"],
            address=row["external_user_id"],
            idempotency_key=self.idempotency_key(row["id"], row["created_at"]),
            row=row,
            tenant=customer_tenant(row["customer_id"]),
            terms=ANSWER if notice or self._window_open(row) else _started(row),
            timezone=row.get("timezone"),
            obsolete=Reason.TAKEN_OVER if silenced else None,
            account=account if not isinstance(account, str) else None,
            undeliverable=account if isinstance(account, str) else None,
        )

    def _window_open(self, row: Mapping[str, Any]) -> bool:
        last = row["last_user_message_at"]
        return last is not None and not is_late(last, self.clock.now())

    def _account(self, row: Mapping[str, Any]) -> Account | str | None:
        """The number or session that the user wrote to; a sentence when it cannot be written from."""
        match row["channel"]:
            case ChatChannel.WHATSAPP_CLOUD:
                if row["access_token"] is None:
                    return (
                        f"phone number ID {row['via']} is not connected to chatbot {row['chatbot_id']}; "
                        "connect it again"
                    )
                try:
                    token = self._vault.open(row["access_token"], account_context("access_token", row["via"]))
                except ConfigurationError as error:
                    return str(error)
                return CloudAccount(row["via"], token)
            case ChatChannel.WHATSAPP_QR:
                if row["session_id"] is None:
                    return f"session {row['via']!r} is not connected to chatbot {row['chatbot_id']}; connect it again"
                return QrSession(row["session_id"])
            case _:
                return None

    async def compose(self, message: Message) -> Content:
        """The text as it was stored, and what its channel needs to know."""
        row = message.row
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
                "window_open": self._window_open(row),
                "template": row["whatsapp_template"],
            },
        )

    async def on_ended(self, connection: AsyncConnection, ended: Sequence[Ended]) -> list[Job]:
        """Notes what became of messages, tells the customers, and lets the next of each conversation go.

        Recovery makes good for messages without a note, and upkeep lets go whom nobody else has.
        """
        now = self.clock.now()
        sent_ids = [one.message.id for one in ended if one.status in TAKEN]
        provider_ids = await find_provider_ids(connection, sent_ids)
        jobs: list[Job] = []
        for one in sorted(ended, key=lambda one: one.message.id):
            jobs += await note_end(connection, one, provider_ids.get(one.message.id), now)
        conversations = {one.message.row["conversation_id"] for one in ended}
        jobs += await release_next(connection, conversations, now)
        await note_refusals(
            connection, [_preference(one, now) for one in ended if _wants_no_marketing(one)], self._reach
        )
        return jobs

    async def on_refused(self, connection: AsyncConnection, message: Message, error: SendError) -> list[Job]:
        """Notes a session that is lost: it takes no message until its QR code is scanned again.

        What is lost of it is noted with the next message that the session refuses.
        """
        if isinstance(error, QrError) and error.session_lost:
            await connection.execute(
                update(WhatsAppQrSession)
                .where(WhatsAppQrSession.session_id == message.row["session_id"])
                .values(state=QrState.LOST, updated_at=self.clock.now())
            )
        return []

    async def on_report(self, unit: Unit, message_id: int, report: Report) -> bool:
        """Moves the row's delivery status upward and tells the customer."""
        return await move_status(unit, message_id, report, self.clock.now())


def _started(row: Mapping[str, Any]) -> Terms:
    """The terms of what is written later than 24 hours after it, which WhatsApp takes as a template."""
    template = row["whatsapp_template"] or {}
    return MARKETING if template.get("category") == "marketing" else TRANSACTIONAL


def _wants_no_marketing(one: Ended) -> bool:
    """Whether Meta did not take a message since its recipient stopped this business's marketing messages."""
    return isinstance(one.refusal, CloudError) and one.refusal.opted_out


def _preference(one: Ended, now: datetime) -> Preference:
    row = one.message.row
    return Preference(row["customer_id"], row["via"], (row["external_user_id"],), False, now, str(one.refusal))


def _conversations(whom: Addressee) -> Select[int]:
    """The conversations that a person has over WhatsApp; a widget's visitor is nobody who is known."""
    return select(Conversation.id).where(
        or_(Conversation.external_user_id.in_(whom.addresses), Conversation.user_id.in_(whom.addresses)),
        Conversation.channel != ChatChannel.WIDGET,
    )


KINDS = (ChatMessages, WebhookEvents)
