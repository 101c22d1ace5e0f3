"""What comes in and goes out over HTTP and in jobs. Times in answers are UTC."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from tidings.features.proactive.models import Approval
from tidings.fields import Day, Input, Line, Name, Output, Text, Title
from tidings.messages.statuses import Reason, Status

MAX_ITEMS = 100

Percent = Annotated[int, Field(ge=0, le=100)]


class GoalIn(Input):
    """What a contact wants to reach; `checklist` are the titles of its steps."""

    title: Title
    description: Text | None = None
    target_date: Day | None = None
    progress: Percent = 0
    checklist: list[Title] = Field(default=[], max_length=MAX_ITEMS)


class ProgressIn(Input):
    """How far a goal is; without a number the news is only that something happened."""

    progress: Percent | None = None


class ChecklistItemIn(Input):
    title: Title


class ApprovalIn(Input):
    """Who agrees to a message."""

    by: Name


class RejectionIn(Input):
    """Who does not agree to a message, and why."""

    by: Name
    why: Line | None = None


class ChecklistItemOut(Output):
    id: int
    goal_id: int
    title: str
    completed_at: datetime | None
    created_at: datetime


class GoalOut(Output):
    """A goal with its checklist; `progress` is 0 to 100."""

    id: int
    contractor_id: int
    title: str
    description: str | None
    target_date: date | None
    progress: int
    last_progress_at: datetime
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    checklist: list[ChecklistItemOut]


class ProactiveMessageOut(Output):
    """A stored message; `status` is waiting until a cycle schedules it."""

    id: int
    contractor_id: int
    message_type: str
    message_content: str
    ai_reasoning: str
    context_data: dict[str, Any]
    channel: str
    goal_id: int | None
    status: Literal["waiting"] | Status
    status_reason: Reason | None
    error_message: str | None
    scheduled_time: datetime
    useful_until: datetime
    sent_at: datetime | None
    approval: Approval
    approval_until: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None
    contractor_response: str | None
    response_received_at: datetime | None
    response_minutes: float | None
    sentiment_score: float | None
    created_at: datetime
    updated_at: datetime


class ListedProactiveMessage(ProactiveMessageOut):
    """A stored message with its contact's name."""

    contractor_name: str


class TypeStats(Output):
    """Messages of one trigger. `awaiting_approval` are some of `waiting`, `replied` some of `sent`."""

    waiting: int = 0
    awaiting_approval: int = 0
    scheduled: int = 0
    sending: int = 0
    sent: int = 0
    replied: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    unknown: int = 0


class ProactiveStats(TypeStats):
    """All messages, those of each trigger, and the jobs of the delivery queue."""

    by_trigger: dict[str, TypeStats]
    queue: dict[str, int]


class DeliverWaiting(BaseModel):
    """Data of the job that comes round every five minutes: nothing."""


class EvaluateTriggers(BaseModel):
    """Data of the job that comes round every hour: nothing."""
