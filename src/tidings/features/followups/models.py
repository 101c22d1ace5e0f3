"""Tables of the follow-ups."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, DateTime, ForeignKey, Index, String, Text, UniqueConstraint, column, table
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId, Json
from tidings.messages.kind import OPEN_ROWS, MessageColumns, only
from tidings.messages.statuses import Reason

EVENTS = table("events", column("id"), column("timezone"))
"""Another feature's, of which only this matters here."""

PRIORITY, VIP_PRIORITY = 10, 1
"""BullMQ priorities of the jobs: 1 goes first."""

ENDINGS = (Reason.ACTION_ITEM_COMPLETED, Reason.OPTED_OUT, Reason.NO_CONSENT, Reason.CONSENT_REVOKED)
"""The reasons to skip an occurrence that hold for all that would come after it."""

UNFOLLOWED = (
    "is_recurring AND next_occurrence_id IS NULL AND (status IN ('sent', 'failed', 'cancelled', 'unknown', "
    "'simulated') "
    f"OR status = 'skipped' AND status_reason NOT IN ({', '.join(repr(str(reason)) for reason in ENDINGS)}))"
)
"""Which rows came to an end that was not their series', and have no successor all the same."""


class ActionItem(Base):
    """Something that a contractor has to do, and that follow-ups remind of."""

    __tablename__ = "contractor_action_items"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contractor_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"), index=True)
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text, default=None)
    due_date: Mapped[date | None] = mapped_column(Date, default=None)
    completed_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Experiment(Base):
    """An A/B test of texts. `variants` are objects with key, message_template, message_tone and weight."""

    __tablename__ = "followup_experiments"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    variants: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FollowUp(MessageColumns, Base):
    """One follow-up: the 21 columns of the specification, those of every message, and a few more.

    `is_recurring` says that an occurrence comes after this one, which `next_occurrence_id` names once this one has
    ended. A series ends with an occurrence that was cancelled, and is not recurring any more, or skipped for one of
    ENDINGS (`status_reason`); any other end without a next one is a mistake, and recovery mends it.
    `series_id` is the id of the series' first occurrence, `occurrence` counts from 1 and may leave numbers out, and
    `first_local_time` is the wall-clock time of number 1 where the contractor is. `if_blocked` is what quiet hours
    and caps do to it (`defer` or `drop`), `not_after` the moment from which it is of no use (None: the default).
    `sentiment_score` (-1 to 1) is None until there is a reply with an opinion in it.
    """

    __tablename__ = "contractor_followup_schedules"
    __table_args__ = (
        Index(None, "scheduled_time", "id", **OPEN_ROWS),
        Index(None, "updated_at", **only("status = 'skipped'")),
        Index(None, "sent_at", **only("sent_at IS NOT NULL")),
        Index("ix_contractor_followup_schedules_unfollowed", "id", **only(UNFOLLOWED)),
        UniqueConstraint("series_id", "occurrence"),
    )

    contractor_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"), index=True)
    action_item_id: Mapped[int | None] = mapped_column(ForeignKey("contractor_action_items.id"), default=None)
    event_id: Mapped[int | None] = mapped_column(ForeignKey("events.id", ondelete="SET NULL"), default=None)
    followup_type: Mapped[str] = mapped_column(String(64))
    message_template: Mapped[str] = mapped_column(Text)
    message_tone: Mapped[str | None] = mapped_column(String(200), default=None)
    sent_at: Mapped[datetime | None] = mapped_column(default=None)
    sent_by: Mapped[str | None] = mapped_column(String(32), default=None)
    response_received_at: Mapped[datetime | None] = mapped_column(default=None)
    response_text: Mapped[str | None] = mapped_column(Text, default=None)
    ai_should_personalize: Mapped[bool] = mapped_column(default=False)
    ai_context_hints: Mapped[dict[str, Any]] = mapped_column(default=dict)
    skip_if_completed: Mapped[bool] = mapped_column(default=True)
    is_recurring: Mapped[bool] = mapped_column(default=False)
    recurrence_interval_days: Mapped[int | None] = mapped_column(default=None)
    next_occurrence_id: Mapped[int | None] = mapped_column(
        ForeignKey("contractor_followup_schedules.id"), default=None
    )

    channel: Mapped[str] = mapped_column(String(16), default="sms")
    priority: Mapped[int] = mapped_column(default=PRIORITY)
    if_blocked: Mapped[str] = mapped_column(String(8), default="defer")
    not_after: Mapped[datetime | None] = mapped_column(default=None)
    series_id: Mapped[int | None] = mapped_column(BigId, default=None)
    occurrence: Mapped[int] = mapped_column(default=1)
    first_local_time: Mapped[datetime | None] = mapped_column(DateTime(), default=None)
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("followup_experiments.id"), default=None, index=True)
    variant: Mapped[str | None] = mapped_column(String(64), default=None)
    sentiment_score: Mapped[float | None] = mapped_column(default=None)
    action_taken: Mapped[str | None] = mapped_column(String(64), default=None)


def priority_for(vip: bool) -> int:
    """The priority of a contractor's jobs."""
    return VIP_PRIORITY if vip else PRIORITY
