"""Tables of customers' webhooks: the endpoints, and one row for each event that one of them is told of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tidings.customers import Customer
from tidings.db.base import Base, BigId, Json
from tidings.messages.kind import OPEN_ROWS, MessageColumns


class WebhookEndpoint(Base):
    """An address of a customer's that hears of events.

    `events` are names or patterns such as `message.*`. `secrets` is a sealed JSON list of signing secrets, the newest
    first; the key of its context is the id. `status` is active, warned or disabled; `failing_since` is when the
    first of the `consecutive_failures` happened.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    url: Mapped[str] = mapped_column(Text, index=True)
    description: Mapped[str | None] = mapped_column(String(200), default=None)
    events: Mapped[list[str]] = mapped_column(Json, default=list)
    secrets: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="active")
    consecutive_failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None] = mapped_column(default=None)
    last_success_at: Mapped[datetime | None] = mapped_column(default=None)
    warned_at: Mapped[datetime | None] = mapped_column(default=None)
    disabled_at: Mapped[datetime | None] = mapped_column(default=None)
    disabled_reason: Mapped[str | None] = mapped_column(String(300), default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WebhookEvent(MessageColumns, Base):
    """One event for one endpoint, delivered like a message; `webhook_id` is its X-Webhook-ID at every attempt."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        UniqueConstraint("webhook_id"),
        Index(None, "endpoint_id", "created_at"),
        Index(None, "scheduled_time", "id", **OPEN_ROWS),
    )

    endpoint_id: Mapped[int] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    webhook_id: Mapped[str] = mapped_column(String(64))
    event: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    tries: Mapped[int] = mapped_column(default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)
