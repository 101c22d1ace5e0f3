"""What comes in and goes out about automations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tidings.features.shops.campaigns.schemas import TestIn
from tidings.fields import Id, Input, JsonObject, Name, Output, Text

MAX_DELAY = 365 * 24 * 3600
"""Seconds that an automation may wait at most: a year."""


class AutomationIn(Input):
    """What to write to whom when `trigger` happens in the shop.

    `rules` is a document of conditions, None for no condition. `goal_topic` calls the message off when that happens
    to the same checkout or customer first. With `restart`, another trigger puts a waiting message off.
    """

    name: Name
    trigger: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]
    rules: JsonObject | None = None
    template: Text
    delay_seconds: Annotated[int, Field(ge=0, le=MAX_DELAY)] = 0
    purpose: Literal["transactional", "promotional"]
    goal_topic: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] | None = None
    restart: bool = False
    active: bool = True


class AutomationOut(Output):
    """A stored automation; times are UTC."""

    id: int
    key: str
    name: str
    trigger: str
    rules: dict[str, Any] | None
    template: str
    delay_seconds: int
    purpose: str
    goal_topic: str | None
    restart: bool
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


class PreviewIn(Input):
    """Whom to preview an automation for: a customer, or the customer of a stored event."""

    customer_id: Id | None = None
    event_id: Id | None = None
    template: Text | None = None


class AutomationTestIn(TestIn):
    """Who gets a test message, and about which stored event; by default the latest one of the trigger."""

    event_id: Id | None = None


class PreviewOut(Output):
    """What an automation would send to a real customer, whether its rules hold, and what that would cost.

    `explanation` has one sentence for each condition, `size` says how many SMS the text takes and why. `event_id`
    is the stored event whose facts were used; without one only the customer's are known. `price` is in `currency`.
    """

    text: str | None
    error: str | None
    holds: bool
    explanation: list[str]
    segments: int
    size: str | None
    price: str
    currency: str
    recipient: str | None
    event_id: int | None
