"""Tables of the event messages."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId, Json
from tidings.messages.kind import OPEN_ROWS, MessageColumns, only


class EventStatus(StrEnum):
    """An event's life: upcoming → live → completed; cancelled from any of the first two."""

    UPCOMING = "upcoming"
    LIVE = "live"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class SessionKind(StrEnum):
    """What happens in an agenda slot."""

    SESSION = "session"
    BREAK = "break"
    NETWORKING = "networking"


class Event(Base):
    """An event. `start_time` and `end_time` (UTC) follow the agenda; `timezone` is where its clocks hang.

    `is_local` says that those which somebody set were told by these clocks: in another timezone they move along.

    `agenda_version` rises with every change that moves messages; `planned_version` is the one that the
    schedule was last made from.
    """

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(300))
    slug: Mapped[str | None] = mapped_column(String(100), unique=True, default=None)
    date: Mapped[date] = mapped_column(Date)
    location: Mapped[str | None] = mapped_column(String(300), default=None)
    timezone: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), default=EventStatus.UPCOMING, index=True)
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    is_local: Mapped[bool] = mapped_column(server_default=false())
    agenda_version: Mapped[int] = mapped_column(default=1)
    planned_version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def mark_changed(self, now: datetime) -> None:
        """Has the next orchestration look at the whole plan again."""
        self.agenda_version += 1
        self.updated_at = now


class AgendaSession(Base):
    """One slot of an agenda. `key` is stable across imports (a schedule.json's guid).

    `origin` is what its file knows it by, which several may share. `is_local` says that its times (UTC) were told by
    the event's clocks, and not as instants.
    """

    __tablename__ = "agenda_sessions"
    __table_args__ = (UniqueConstraint("event_id", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str | None] = mapped_column(String(64), default=None)
    kind: Mapped[str] = mapped_column(String(16), default=SessionKind.SESSION)
    title: Mapped[str] = mapped_column(String(500))
    speaker: Mapped[str | None] = mapped_column(String(300), default=None)
    sponsor: Mapped[str | None] = mapped_column(String(300), default=None)
    room: Mapped[str | None] = mapped_column(String(200), default=None)
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    is_local: Mapped[bool] = mapped_column(default=False, server_default=false())


class Registration(Base):
    """A contractor's place at an event. `session_keys` are the sessions they chose; none means all."""

    __tablename__ = "event_registrations"
    __table_args__ = (UniqueConstraint("event_id", "contractor_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    contractor_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"), index=True)
    session_keys: Mapped[list[str]] = mapped_column(Json, default=list)
    registered_at: Mapped[datetime]
    profile_completed_at: Mapped[datetime | None] = mapped_column(default=None)
    cancelled_at: Mapped[datetime | None] = mapped_column(default=None)


class EventMessage(MessageColumns, Base):
    """One message to one person about one event: the 28 columns of the specification.

    `session_key` tells two sessions' alerts apart and is empty for messages about the whole event; with
    event, contractor and type it makes the message unique.
    """

    __tablename__ = "event_messages"
    __table_args__ = (
        Index(None, "scheduled_time", "id", **OPEN_ROWS),
        Index("ix_event_messages_failed", "scheduled_time", **only("status = 'failed'")),
        Index(
            "ix_event_messages_deduplication",
            "event_id",
            "contractor_id",
            "message_type",
            "session_key",
            unique=True,
        ),
    )

    event_id: Mapped[int] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    contractor_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"), index=True)
    message_type: Mapped[str] = mapped_column(String(64))
    message_category: Mapped[str] = mapped_column(String(16))
    session_key: Mapped[str] = mapped_column(String(64), default="")
    actual_send_time: Mapped[datetime | None] = mapped_column(default=None)
    message_content: Mapped[str | None] = mapped_column(Text, default=None)
    personalization_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    phone: Mapped[str | None] = mapped_column(String(20), default=None)
    channel: Mapped[str] = mapped_column(String(16), default="sms")
    response_received: Mapped[str | None] = mapped_column(Text, default=None)
    response_time: Mapped[datetime | None] = mapped_column(default=None)
    sentiment_score: Mapped[float | None] = mapped_column(default=None)
    pcr_score: Mapped[int | None] = mapped_column(default=None)
    action_taken: Mapped[str | None] = mapped_column(String(64), default=None)
    ghl_contact_id: Mapped[str | None] = mapped_column(String(64), default=None)
    ghl_message_id: Mapped[str | None] = mapped_column(String(64), default=None)
    ghl_location_id: Mapped[str | None] = mapped_column(String(64), default=None)
    delay_minutes: Mapped[float | None] = mapped_column(default=None)
