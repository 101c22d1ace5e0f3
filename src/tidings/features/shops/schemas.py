"""What comes in and goes out about shops' messages and jobs, and the keys that shops give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import StringConstraints, TypeAdapter, ValidationError

from tidings.errors import InvalidInput
from tidings.fields import Input, JsonObject, Output

InPath = Annotated[str, Path(max_length=255, examples=["blossom.myshopify.com"])]
"""A shop's domain in an address."""

MAX_TOPIC = 64
"""Letters of a topic that are kept."""

Key = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A name that stands in addresses and figures: letters, digits, dots, dashes, underscores."""


_KEY: TypeAdapter[str] = TypeAdapter(Key)


def parse_key(key: str) -> str:
    """A key as it may stand in addresses. Raises InvalidInput."""
    try:
        return _KEY.validate_python(key)
    except ValidationError as error:
        raise InvalidInput("key", "may have letters, digits, dots, dashes and underscores, at most 64") from error


class ShopMessageOut(Output):
    """A message of a shop; times are UTC, `price` is in the shop's currency."""

    id: int
    customer_id: int | None
    automation_id: int | None
    campaign_id: int | None
    purpose: str
    recipient: str | None
    scheduled_time: datetime
    status: str
    status_reason: str | None
    error_message: str | None
    text: str | None
    segments: int | None
    price: str | None
    request_id: str | None
    not_after: datetime | None
    sent_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Enqueued(Output):
    """A job that was added to a queue."""

    queue: str
    name: str


class JobIn(Input):
    """A job's data in the specification's field names."""

    data: JsonObject
