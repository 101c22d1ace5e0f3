"""Tables of the chats: chatbots, conversations with messages, and knowledge.

Secrets are sealed by the vault under the context `table.column:key`; see each table for its key.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId, Json
from tidings.messages.kind import OPEN_ROWS, WAITING_ROWS, MessageColumns, only

RECEIVED, PROCESSED = "received", "processed"
"""Statuses of a user's message, which never goes out: stored, and taken in by the queue incoming-messages."""

_OptionalJson = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class ChatChannel(StrEnum):
    """Where a conversation takes place."""

    WIDGET = "widget"
    WHATSAPP_CLOUD = "whatsapp_cloud"
    WHATSAPP_QR = "whatsapp_qr"

    @classmethod
    def _missing_(cls, value: object) -> ChatChannel | None:
        """However other programs write it: WHATSAPP_CLOUD, whatsapp-cloud."""
        name = value.strip().lower().replace("-", "_") if isinstance(value, str) else ""
        return next((one for one in cls if one.value == name), None)

    @property
    def is_whatsapp(self) -> bool:
        return self is not ChatChannel.WIDGET


class Role(StrEnum):
    """Who wrote a message: the user, the chatbot, or a person of the customer's."""

    USER = "user"
    ASSISTANT = "assistant"
    HUMAN = "human"


class KnowledgeBase(Base):
    """What a customer's chatbots know."""

    __tablename__ = "knowledge_bases"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class KnowledgeItem(Base):
    """One piece of knowledge.

    `terms` are the stems of title and content (`rules.words`), over which the database keeps its full-text index.
    `embedding` holds little-endian 32-bit floats by the model `embedding_model`, None until there is one.
    """

    __tablename__ = "knowledge_items"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    knowledge_base_id: Mapped[int] = mapped_column(ForeignKey("knowledge_bases.id"), index=True)
    title: Mapped[str] = mapped_column(String(500))
    content: Mapped[str] = mapped_column(Text)
    terms: Mapped[str] = mapped_column(Text)
    embedding: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)
    embedding_model: Mapped[str | None] = mapped_column(String(100), default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Chatbot(Base):
    """One chatbot and how it answers.

    `model` and `temperature` None: those of the installation. `debounce` is how many seconds of silence end a
    burst of messages. `human_takeover` has new conversations begin with a person. With `keywords` STOP, START and
    HELP are carried out on WhatsApp; otherwise they are words like others. `widget_key` names it in public
    addresses; `allowed_origins` are the web pages that may hold its widget, `widget` how that looks.
    `whatsapp_template` (name, language, with_text, category) is sent where WhatsApp takes no free text any more.
    """

    __tablename__ = "chatbots"
    __table_args__ = (UniqueConstraint("widget_key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    knowledge_base_id: Mapped[int | None] = mapped_column(ForeignKey("knowledge_bases.id"), default=None)
    name: Mapped[str] = mapped_column(String(200))
    system_prompt: Mapped[str] = mapped_column(Text, default="")
    model: Mapped[str | None] = mapped_column(String(100), default=None)
    temperature: Mapped[float | None] = mapped_column(default=None)
    fallback_message: Mapped[str | None] = mapped_column(Text, default=None)
    debounce: Mapped[float] = mapped_column(default=3.0)
    human_takeover: Mapped[bool] = mapped_column(default=False)
    keywords: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    widget_key: Mapped[str] = mapped_column(String(64))
    allowed_origins: Mapped[list[str]] = mapped_column(Json, default=list)
    widget: Mapped[dict[str, Any]] = mapped_column(default=dict)
    whatsapp_template: Mapped[dict[str, Any] | None] = mapped_column(_OptionalJson, default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Conversation(Base):
    """One user's conversation with one chatbot on one channel.

    `external_user_id` is the user's phone number (E.164) or, as long as that is not known, the id at WhatsApp, or the
    widget's visitor; `user_id` is the id at WhatsApp, also where the number is known. `via` is the phone number ID
    or session through which the user last wrote. `turn` counts the user's messages, and `answered_turn` is the one up
    to which they are answered. While a burst waits for its answer, `answer_due` is when the answering begins, and
    `answer_by` the moment at which it begins even if more messages come. From `taken_over_at` on a person answers;
    `taken_over_reason` says why where nobody has asked for it. `details` are what else is kept of it.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("chatbot_id", "channel", "external_user_id"),
        Index(None, "chatbot_id", "channel", "user_id", unique=True),
        Index(None, "external_user_id"),
        Index(None, "user_id"),
        Index(None, "chatbot_id", "last_message_at"),
        Index(None, "answer_due"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    chatbot_id: Mapped[int] = mapped_column(ForeignKey("chatbots.id"))
    channel: Mapped[str] = mapped_column(String(16))
    external_user_id: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[str | None] = mapped_column(String(255), default=None)
    name: Mapped[str | None] = mapped_column(String(200), default=None)
    via: Mapped[str | None] = mapped_column(String(255), default=None)
    turn: Mapped[int] = mapped_column(default=0)
    answered_turn: Mapped[int] = mapped_column(default=0)
    answer_by: Mapped[datetime | None] = mapped_column(default=None)
    answer_due: Mapped[datetime | None] = mapped_column(default=None)
    taken_over_at: Mapped[datetime | None] = mapped_column(default=None)
    taken_over_by: Mapped[str | None] = mapped_column(String(200), default=None)
    taken_over_reason: Mapped[str | None] = mapped_column(String(500), default=None)
    last_message_at: Mapped[datetime | None] = mapped_column(default=None)
    last_user_message_at: Mapped[datetime | None] = mapped_column(default=None)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


UNFOLLOWED = "NOT end_noted AND status IN ('sent', 'failed', 'skipped', 'simulated')"
"""Which messages have ended without a note of it: nobody was told, and nothing was charged for."""


class ChatMessage(MessageColumns, Base):
    """One message of a conversation. Those of the assistant and of people are delivered; a user's never is.

    `external_id` is the id by which a user's message is told from its repetition: WhatsApp's, or the widget's.
    `turn` is the user's message that this one is, or answers. `queue` is the queue that the message is to take next.
    `details` (column `metadata`) hold `whatsapp_message_id` and what else is known of it; `delivery_status` is None
    for a user's message. `end_noted` is false from the moment that a worker takes the row until what follows from its
    end is written.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "external_id"),
        Index(None, "conversation_id", "status"),
        Index(None, "scheduled_time", "id", **OPEN_ROWS),
        Index(None, "updated_at", **WAITING_ROWS),
        Index(None, "created_at", **only("status = 'received'")),
        Index("ix_messages_unfollowed", "id", **only(UNFOLLOWED)),
    )

    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    role: Mapped[str] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(String(200), default=None)
    external_id: Mapped[str | None] = mapped_column(String(255), default=None)
    turn: Mapped[int] = mapped_column(default=0)
    queue: Mapped[str] = mapped_column(String(32), default="outgoing-messages")
    delivery_status: Mapped[str | None] = mapped_column(String(16), default=None)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", Json, default=dict)
    request_id: Mapped[str | None] = mapped_column(String(100), default=None)
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    end_noted: Mapped[bool] = mapped_column(default=True, server_default=true())


class UsageKind(StrEnum):
    """What was used: a message taken in, an answer of the AI, a message sent over WhatsApp."""

    MESSAGE = "message"
    AI = "ai"
    WHATSAPP = "whatsapp"


class UsageLog(Base):
    """What a customer used. `tokens` and `model` are those of an answer of the AI, when they are known."""

    __tablename__ = "usage_logs"
    __table_args__ = (Index(None, "customer_id", "at"), Index(None, "message_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    chatbot_id: Mapped[int] = mapped_column(ForeignKey("chatbots.id"))
    message_id: Mapped[int | None] = mapped_column(BigId, default=None)
    kind: Mapped[str] = mapped_column(String(16))
    quantity: Mapped[int] = mapped_column(default=1)
    tokens: Mapped[int | None] = mapped_column(default=None)
    model: Mapped[str | None] = mapped_column(String(100), default=None)
    at: Mapped[datetime]


class WhatsAppCloudAccount(Base):
    """A business phone number at Meta and the chatbot that answers there.

    `access_token`, `app_secret` and `verify_token` are sealed; the key of their context is `phone_number_id`.
    """

    __tablename__ = "whatsapp_cloud_accounts"
    __table_args__ = (UniqueConstraint("phone_number_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    chatbot_id: Mapped[int] = mapped_column(ForeignKey("chatbots.id"), index=True)
    phone_number_id: Mapped[str] = mapped_column(String(32))
    waba_id: Mapped[str | None] = mapped_column(String(32), default=None)
    access_token: Mapped[str] = mapped_column(Text)
    app_secret: Mapped[str] = mapped_column(Text)
    verify_token: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class QrState(StrEnum):
    """Whether a session takes messages; a lost one wants its QR code scanned again."""

    CONNECTED = "connected"
    LOST = "lost"


class WhatsAppQrSession(Base):
    """A session of the QR service and the chatbot that answers there.

    `state` is connected or lost. `webhook_secret` is sealed; the key of its context is `session_id`.
    """

    __tablename__ = "whatsapp_qr_sessions"
    __table_args__ = (UniqueConstraint("session_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    chatbot_id: Mapped[int] = mapped_column(ForeignKey("chatbots.id"), index=True)
    session_id: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(16), default=QrState.CONNECTED)
    webhook_secret: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
