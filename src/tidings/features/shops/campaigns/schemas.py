"""What comes in and goes out about campaigns. A naive time is on the shop's wall clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from tidings.features.shops.campaigns.status import CampaignStatus
from tidings.features.shops.schemas import Key
from tidings.fields import Id, Input, Moment, Name, Output, Phone, Text


class CampaignIn(Input):
    """A text for a segment; without one it goes to everybody.

    `rate_per_minute` limits how many recipients a minute get it; without it the pace of all campaigns does.
    `if_blocked` says whether quiet hours and frequency caps put a message off or drop it. After `not_after` nobody
    gets it.
    """

    name: Name
    segment: Key | None = None
    template: Text
    rate_per_minute: int | None = Field(None, ge=1, le=600_000)
    if_blocked: Literal["defer", "drop"] = "defer"
    not_after: Moment | None = None


class ScheduleIn(Input):
    """When a campaign goes out: at a moment, or at that wall-clock time where each recipient is; unset, at once."""

    send_at: Moment | None = None
    local_time: bool = False

    @model_validator(mode="after")
    def _is_somewhere(self) -> ScheduleIn:
        if self.local_time and self.send_at is None:
            raise ValueError("local_time needs send_at, the time on the recipients' clocks")
        return self


class CampaignOut(Output):
    id: int
    key: str
    name: str
    segment_id: int | None
    segment_rules: dict[str, Any] | None
    template: str
    status: CampaignStatus
    send_at: datetime | None
    local_time: bool
    not_after: datetime | None
    if_blocked: str
    rate_per_minute: int | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    updated_at: datetime


class CampaignProgress(Output):
    """Where recipients stand. Always `sent + simulated + skipped + failed + unknown + waiting = audience`.

    Until `is_expanded` the audience grows. `reasons` says why recipients were skipped, `unknown` may have been sent
    and are to be settled, `cost` is the price of what was sent. Test messages are counted apart.
    """

    status: CampaignStatus
    audience: int
    is_expanded: bool
    sent: int
    skipped: int
    failed: int
    simulated: int
    unknown: int
    waiting: int
    reasons: dict[str, int]
    segments: int
    cost: str
    currency: str
    tests: int
    next_due: datetime | None


class TestIn(Input):
    """Who gets a test message: a number, or a customer."""

    __test__ = False  # no test of pytest's

    to: Phone | None = None
    customer_id: Id | None = None

    @model_validator(mode="after")
    def _is_one(self) -> TestIn:
        if (self.to is None) == (self.customer_id is None):
            raise ValueError("name either a number (to) or a customer (customer_id)")
        return self


class TestOut(Output):
    """A test message: what it says, what it costs, and what the gate says about it now.

    Verified test numbers get it without consent; `hint` says how a number becomes one.
    """

    __test__ = False

    message: str
    text: str
    segments: int
    advice: str
    price: str
    currency: str
    decision: str
    reason: str | None
    until: datetime | None
    hint: str | None = None


class DryRunIn(Input):
    """The moment to try; unset, the campaign's own, or now."""

    at: Moment | None = None


class Deferred(Output):
    """Recipients whom the gate would put off, by the hour in which their turn would come."""

    until: datetime
    reason: str
    recipients: int


class CountryCost(Output):
    country: str
    messages: int
    segments: int
    price: str
    total: str


class Cost(Output):
    """What all messages that may leave cost, those put off included."""

    currency: str
    messages: int
    segments: int
    total: str
    countries: list[CountryCost]


class SampleText(Output):
    customer_id: int
    text: str
    segments: int


class DryRun(Output):
    """What would happen at `at`: `now + deferred + skipped + failed = audience`. Nothing is written or sent."""

    at: datetime
    audience: int
    now: int
    deferred: int
    skipped: int
    failed: int
    deferred_until: list[Deferred]
    skipped_because: dict[str, int]
    failed_because: dict[str, int]
    without_number: int
    cost: Cost
    samples: list[SampleText]


class RecipientOut(Output):
    """One recipient of a campaign; `message` is the name under which `why` tells its story."""

    id: int
    message: str
    customer_id: int | None
    recipient: str | None
    status: str
    status_reason: str | None
    error_message: str | None
    scheduled_time: datetime
    sent_at: datetime | None
