"""What comes in and goes out over HTTP and in jobs.

A time may be aware (an instant) or naive (the contractor's wall clock).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tidings.fields import (
    AnyCase,
    Day,
    Id,
    Input,
    JsonObject,
    Moment,
    Output,
    ShortLine,
    Storable,
    Text,
    Title,
)
from tidings.messages.gate.zones import ZoneSource
from tidings.messages.statuses import Reason, Status

Key = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A name that stands in addresses and figures: letters, digits, dots, dashes, underscores."""

FollowUpType = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), Storable]
SentBy = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32), Storable]
Action = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), Storable]


class ActionItemIn(Input):
    """Something that a contractor has to do."""

    contractor_id: Id
    title: Title
    description: Text | None = None
    due_date: Day | None = None


class ActionItemOut(Output):
    id: int
    contractor_id: int
    title: str
    description: str | None
    due_date: date | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class FollowUpIn(Input):
    """A follow-up to schedule, in the specification's field names.

    The text is `message_template`, or that of the contractor's variant in `experiment`. Without `not_after` it
    is of use for three days. `if_blocked` says whether quiet hours and frequency caps put it off or drop it.
    """

    contractor_id: Id
    action_item_id: Id | None = None
    event_id: Id | None = None
    scheduled_time: Moment
    followup_type: FollowUpType
    message_template: Text | None = None
    message_tone: ShortLine | None = None
    ai_should_personalize: bool = False
    ai_context_hints: JsonObject = Field(default_factory=dict)
    skip_if_completed: bool = True
    is_recurring: bool = False
    recurrence_interval_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    channel: Annotated[Literal["sms", "email"], AnyCase] = "sms"
    if_blocked: Literal["defer", "drop"] = "defer"
    not_after: Moment | None = None
    experiment: Key | None = None


class FollowUpOut(Output):
    """A stored follow-up; times are UTC. `timezone` is where its contractor is, `timezone_source` what tells it."""

    id: int
    contractor_id: int
    action_item_id: int | None
    event_id: int | None
    scheduled_time: datetime
    followup_type: str
    message_template: str
    message_tone: str | None
    status: Status
    status_reason: Reason | None
    error_message: str | None
    sent_at: datetime | None
    sent_by: str | None
    response_received_at: datetime | None
    response_text: str | None
    sentiment_score: float | None
    action_taken: str | None
    ai_should_personalize: bool
    ai_context_hints: dict[str, Any]
    skip_if_completed: bool
    is_recurring: bool
    recurrence_interval_days: int | None
    next_occurrence_id: int | None
    series_id: int | None
    occurrence: int
    channel: str
    priority: int
    if_blocked: str
    not_after: datetime | None
    experiment_id: int | None
    variant: str | None
    timezone: str | None = None
    timezone_source: ZoneSource | None = None
    created_at: datetime
    updated_at: datetime


class SentIn(Input):
    """That somebody sent a follow-up by other means."""

    sent_by: SentBy = "ai_concierge"


class ResponseIn(Input):
    """What a contractor answered; without `received_at` it came just now."""

    response_text: Text
    received_at: Moment | None = None
    action_taken: Action | None = None


class VipIn(Input):
    """Whether a contractor goes first."""

    vip: bool


class DraftOut(Output):
    """A text as it would be written now: by which author, and why it is the template's, if it is."""

    text: str
    author: str
    model: str | None
    fallback: str | None


class VariantIn(Input):
    """One text of an experiment; of all people it gets the share that its weight is of all weights."""

    key: Key
    message_template: Text
    message_tone: ShortLine | None = None
    weight: Annotated[int, Field(ge=1, le=1000)] = 1


class ExperimentIn(Input):
    """An A/B test: follow-ups that name it get the text of their contractor's variant."""

    name: Key
    variants: Annotated[list[VariantIn], Field(min_length=2, max_length=20)]


class ExperimentOut(Output):
    id: int
    name: str
    variants: list[dict[str, Any]]
    ended_at: datetime | None
    created_at: datetime


class VariantResult(Output):
    """What became of one variant, in people: a series counts its contractor once.

    `reply_rate` is the share of the people reached (`sent`) who replied, `low` and `high` hold the true rate
    with 95% confidence (Wilson). STOP, START and HELP are no replies here.
    """

    key: str
    scheduled: int
    sent: int
    replied: int
    reply_rate: float
    low: float
    high: float
    positive_replies: int
    opt_outs: int
    median_minutes_to_reply: float | None


class ExperimentResult(Output):
    """The result of an experiment so far; `verdict` says in a sentence whether a difference can be told."""

    name: str
    ended_at: datetime | None
    variants: list[VariantResult]
    verdict: str


class Effectiveness(Output):
    """How well one type of follow-up works, in messages.

    `positive_share` is of the replies, `ai_share` of the messages that the worker sent. STOP, START and HELP
    are no replies here; `opt_outs` are the STOPs.
    """

    followup_type: str
    sent: int
    sent_by_hand: int
    replied: int
    reply_rate: float
    positive_share: float | None
    opt_outs: int
    median_minutes_to_reply: float | None
    skipped_because_done: int
    ai_written: int
    from_template: int
    ai_share: float | None


class SchedulerStats(Output):
    """The state of the follow-ups. `sent_today`, `ai_written_today` and `from_template_today` count from midnight.

    Midnight is that of the default timezone. `queue` has the counts of the queue's jobs.
    """

    by_status: dict[str, int]
    due_now: int
    next_due: datetime | None
    sent_today: int
    ai_written_today: int
    from_template_today: int
    queue: dict[str, int]
