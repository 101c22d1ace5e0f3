"""What comes in and goes out about segments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tidings.fields import Input, JsonObject, Name, Output

Rules = JsonObject | None


class SegmentIn(Input):
    """A question about customers. Without `rules` it is everybody."""

    name: Name
    rules: Rules = None


class SegmentOut(Output):
    key: str
    name: str
    rules: dict[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime


class RulesIn(Input):
    """The rules of a segment that is not saved yet."""

    rules: Rules = None


class SampleCustomer(Output):
    """One of the customers who match."""

    id: int
    customer_key: str
    first_name: str | None
    last_name: str | None
    phone: str | None


class SegmentPreview(Output):
    """How many customers there are, how many match, and how many of those have a number to write to."""

    customers: int
    matching: int
    with_number: int
    samples: list[SampleCustomer]
