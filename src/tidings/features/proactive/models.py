"""Tables of the proactive messages: the messages, and the goals that they are about."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tidings.db.base import Base, BigId
from tidings.messages.kind import OPEN_ROWS, WAITING_ROWS, MessageColumns, only
from tidings.messages.statuses import Status

UNDER_WAY = (Status.WAITING, "scheduled", "sending")
"""The statuses of messages that may still go out."""

_ROWS_UNDER_WAY = only("status IN ('waiting', 'scheduled', 'sending')")


class Approval(StrEnum):
    """Whether a person has to agree to a message, and what they said."""

    NOT_NEEDED = "not_needed"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class Goal(Base):
    """What a contact wants to reach. `progress` is 0 to 100; `last_progress_at` begins as `created_at`."""

    __tablename__ = "contractor_goals"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contractor_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"), index=True)
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text, default=None)
    target_date: Mapped[date | None] = mapped_column(Date, default=None)
    progress: Mapped[int] = mapped_column(default=0)
    last_progress_at: Mapped[datetime]
    completed_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    checklist: Mapped[list[ChecklistItem]] = relationship(lazy="selectin", order_by="ChecklistItem.id")


class ChecklistItem(Base):
    """One step towards a goal."""

    __tablename__ = "contractor_checklist_items"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    goal_id: Mapped[int] = mapped_column(ForeignKey("contractor_goals.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(500))
    completed_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]


class ProactiveMessage(MessageColumns, Base):
    """One message to one contact, the reasoning behind it and what came of it: the specification's columns.

    `sent_at` NULL means that it has not gone out. With the contact, `deduplication_key` makes a suggestion become
    one message ever; and a contact has one message under way at a time. `scheduled_time` of a waiting row is
    from when on it may go, `useful_until` is until when. `goal_id` is the goal that it is about.
    `response_minutes` is how long the answer took; `silence_due` is when having no answer costs trust.
    """

    __tablename__ = "ai_proactive_messages"
    __table_args__ = (
        Index("ix_ai_proactive_messages_deduplication", "contractor_id", "deduplication_key", unique=True),
        Index(
            "ix_ai_proactive_messages_under_way",
            "contractor_id",
            unique=True,
            **_ROWS_UNDER_WAY,
        ),
        Index(None, "scheduled_time", "id", **OPEN_ROWS),
        Index("ix_ai_proactive_messages_waiting", "scheduled_time", "id", **WAITING_ROWS),
        Index(None, "silence_due", **only("silence_due IS NOT NULL")),
    )

    contractor_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"))
    message_type: Mapped[str] = mapped_column(String(64))
    message_content: Mapped[str] = mapped_column(Text)
    ai_reasoning: Mapped[str] = mapped_column(Text)
    context_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    contractor_response: Mapped[str | None] = mapped_column(Text, default=None)

    deduplication_key: Mapped[str] = mapped_column(String(200))
    goal_id: Mapped[int | None] = mapped_column(ForeignKey("contractor_goals.id", ondelete="SET NULL"), default=None)
    channel: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(200))
    useful_until: Mapped[datetime]
    approval: Mapped[str] = mapped_column(String(16), default=Approval.NOT_NEEDED)
    approval_until: Mapped[datetime | None] = mapped_column(default=None)
    decided_by: Mapped[str | None] = mapped_column(String(200), default=None)
    decided_at: Mapped[datetime | None] = mapped_column(default=None)
    decision_note: Mapped[str | None] = mapped_column(Text, default=None)
    response_received_at: Mapped[datetime | None] = mapped_column(default=None)
    response_minutes: Mapped[float | None] = mapped_column(default=None)
    sentiment_score: Mapped[float | None] = mapped_column(default=None)
    silence_due: Mapped[datetime | None] = mapped_column(default=None)
