"""Pings as messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column
from tidings.features.pings.jobs import SEND_PING

from tidings.db.base import Base
from tidings.messages.kind import Content, Message, MessageColumns, MessageKind


class Ping(MessageColumns, Base):
    """One ping."""

    __tablename__ = "pings"

    phone: Mapped[str] = mapped_column(String(20))
    sent_at: Mapped[datetime | None] = mapped_column(default=None)


class Pings(MessageKind):
    """The kind. `text` is what every ping says."""

    name = "ping"
    noun = "ping"
    model = Ping
    job_type = SEND_PING
    loaded = select(Ping.__table__)

    def __init__(self, text: str) -> None:
        self._text = text

    def message(self, row: Mapping[str, Any]) -> Message:
        """The message of one ping."""
        return Message(
            id=row["id"],
            contact_id=None,
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel="sms",
            address=row["phone"],
            idempotency_key=self.idempotency_key(row["id"], row["created_at"]),
            row=row,
        )

    async def compose(self, message: Message) -> Content:
        """The text."""
        return Content(self._text)


KINDS = (Pings,)
