"""What goes out about what a shop told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tidings.fields import Output


class ShopEventOut(Output):
    """A webhook as it was taken in, and what came of it; times are UTC."""

    id: int
    event_id: str
    topic: str
    object_id: str | None
    customer_id: int | None
    request_id: str
    received_at: datetime
    processed_at: datetime | None
    evaluated_at: datetime | None
    error: str | None
    missing: list[str]
    evaluation: dict[str, Any]


class IgnoredTopicOut(Output):
    """A topic that the shop tells and nobody uses, and how often it came; times are UTC."""

    topic: str
    count: int
    reason: str
    first_at: datetime
    last_at: datetime


class WebhookReceipt(Output):
    """What became of a webhook. `duplicate`: it had been taken in before. `ignored` says why nothing comes of it."""

    duplicate: bool = False
    ignored: str | None = None
