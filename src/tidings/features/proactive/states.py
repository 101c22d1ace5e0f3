"""A contact as triggers see it, and what a trigger answers. Frozen values: triggers only read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tidings.feature import Activity

MAX_KEY = 100


@dataclass(frozen=True, slots=True)
class ItemState:
    """One step of a goal's checklist."""

    id: int
    title: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class GoalState:
    """A goal that is not reached yet. `progress` is 0 to 100."""

    id: int
    title: str
    progress: int
    last_progress_at: datetime
    items: tuple[ItemState, ...] = ()

    @property
    def pending(self) -> tuple[ItemState, ...]:
        """The steps that are still to be taken."""
        return tuple(item for item in self.items if not item.is_done)

    def idle_days(self, now: datetime) -> int:
        """Whole days without progress."""
        return (now - self.last_progress_at).days


@dataclass(frozen=True, slots=True)
class ContactState:
    """Everything that triggers may go by. Times are UTC; `timezone` (IANA) is the contact's own,
    their number's when it has one, or the default.

    `channel` is sms or email, by which the contact is written to; `known_since` is when the contact was added.
    `last_sent` and `last_reply` are about messages of every feature; `trust` is 0 to 100; `activities` are what
    other features tell.
    """

    contractor_id: int
    channel: str
    name: str
    first_name: str
    company_name: str | None
    timezone: str
    known_since: datetime
    trust: float
    last_sent: datetime | None = None
    last_reply: datetime | None = None
    goals: tuple[GoalState, ...] = ()
    activities: tuple[Activity, ...] = ()

    def local(self, moment: datetime) -> datetime:
        """`moment` on the contact's wall clock."""
        return moment.astimezone(ZoneInfo(self.timezone))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a trigger suggests to write to a contact, once.

    - `key` tells this reason from every other one of its trigger and contact; it becomes one message ever.
    - `reasoning` says to people why, in a sentence's words without the period.
    - `template` is the text in Liquid over the facts, `first_name`, `name` and `company_name`; it is what a
      writer says in its own words, and what is sent when no writer can.
    - `facts` are JSON-like values, and all that a writer may state.
    - `urgency` 1 goes first when a contact, or an evaluation, has more of them than it may have messages.
    - `useful_until` (UTC) replaces the three days after which a message is stale.
    - `goal_id` is the goal that it is about; progress there makes the message pointless.

    Raises ValueError for a key that is empty or too long to be stored.
    """

    key: str
    reasoning: str
    template: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    subject: str = "Checking in"
    urgency: int = 10
    useful_until: datetime | None = None
    goal_id: int | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= MAX_KEY:
            raise ValueError(f"a suggestion's key has 1 to {MAX_KEY} characters, not {len(self.key)}")
