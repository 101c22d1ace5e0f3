"""The ledger: one line for every attempt at a message and every decision about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, String, Text, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.db.batches import insert_rows
from tidings.messages.contacts.contractors import Contractor


class Outcome(StrEnum):
    """What one line says happened."""

    SENT = "sent"
    SIMULATED = "simulated"
    """The simulator took it in the place of a provider; nobody got it."""
    RETRY = "retry"
    DEFERRED = "deferred"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    IN_DOUBT = "in_doubt"
    """Whoever was sending it stopped or failed before it wrote down whether the message had left."""
    UNKNOWN = "unknown"
    """It was handed over and no answer came; such a line gets a delivery status when its provider reports."""
    AGAIN = "again"
    """Somebody had it sent again, who knew that it had not left, or did not mind."""


AT_PROVIDER = (Outcome.SENT, Outcome.UNKNOWN)
"""What lines say that delivery reports may be about."""

HANDED_OVER = (*AT_PROVIDER, Outcome.SIMULATED)
"""What lines say that replies may be about: in a rehearsal somebody answers what was simulated."""


class DeliveryStatus(StrEnum):
    """What became of a message after it left; it only moves upward, and a failure is final."""

    PENDING = "PENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    READ = "READ"
    FAILED = "FAILED"

    def follows(self) -> tuple[DeliveryStatus, ...]:
        """The statuses that this one may come after."""
        return _BEFORE[self]


_BEFORE = {
    DeliveryStatus.PENDING: (),
    DeliveryStatus.SENT: (DeliveryStatus.PENDING,),
    DeliveryStatus.DELIVERED: (DeliveryStatus.PENDING, DeliveryStatus.SENT),
    DeliveryStatus.READ: (DeliveryStatus.PENDING, DeliveryStatus.SENT, DeliveryStatus.DELIVERED),
    DeliveryStatus.FAILED: (DeliveryStatus.PENDING, DeliveryStatus.SENT),
}


_IS_UNKNOWN = text("outcome = 'unknown'")
_ELSEWHERE = text("address IS NOT NULL")


class LedgerEntry(Base):
    """One line. `kind` and `message_id` name the message, `attempt` counts takings of its row. `tenant` is whose it
    is, where that is known, and `account` names the tenant's own account at the provider that it left through.
    `address` is where it was sent (in its canonical form) when that is not the contact's own.

    `lateness_ms` is the real time between the due moment and the hand-over to the provider,
    `duration_ms` how long the provider took. `inputs` are what a decision was made from. A line that says
    `sent` also has `delivery_status`, what the provider told us since, and when; one that says `unknown` has it once
    its provider has reported.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(None, "kind", "message_id"),
        Index(None, "contact_id", "at"),
        Index(None, "at"),
        Index(None, "provider_message_id"),
        Index(None, "address", sqlite_where=_ELSEWHERE, postgresql_where=_ELSEWHERE),
        Index(None, "outcome", "kind", "message_id", sqlite_where=_IS_UNKNOWN, postgresql_where=_IS_UNKNOWN),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(32))
    message_id: Mapped[int] = mapped_column(BigId)
    contact_id: Mapped[int | None] = mapped_column(BigId, default=None)
    tenant: Mapped[str | None] = mapped_column(String(64), default=None)
    address: Mapped[str | None] = mapped_column(String(254), default=None)
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32), default=None)
    attempt: Mapped[int] = mapped_column(default=0)
    channel: Mapped[str | None] = mapped_column(String(16), default=None)
    provider: Mapped[str | None] = mapped_column(String(32), default=None)
    account: Mapped[str | None] = mapped_column(String(255), default=None)
    provider_message_id: Mapped[str | None] = mapped_column(String(255), default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    lateness_ms: Mapped[float | None] = mapped_column(default=None)
    duration_ms: Mapped[float | None] = mapped_column(default=None)
    request_id: Mapped[str | None] = mapped_column(String(100), default=None)
    inputs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    delivery_status: Mapped[str | None] = mapped_column(String(16), default=None)
    delivery_status_at: Mapped[datetime | None] = mapped_column(default=None)


async def write_lines(connection: AsyncConnection | AsyncSession, lines: Sequence[Mapping[str, Any]]) -> None:
    """Adds lines in the caller's transaction; every line must name the same columns."""
    if lines:
        await insert_rows(connection, LedgerEntry, lines)


async def history(session: AsyncSession, kind: str, message_id: int) -> Sequence[LedgerEntry]:
    """Every line about one message, oldest first."""
    lines = await session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.kind == kind, LedgerEntry.message_id == message_id)
        .order_by(LedgerEntry.id)
    )
    return lines.all()


async def lines_after(session: AsyncSession, line_id: int, limit: int) -> list[dict[str, Any]]:
    """Lines about any message after the one with this id, oldest first, with their contact's name and timezone."""
    rows = await session.execute(
        select(LedgerEntry, Contractor.name, Contractor.timezone)
        .outerjoin(Contractor, Contractor.id == LedgerEntry.contact_id)
        .where(LedgerEntry.id > line_id)
        .order_by(LedgerEntry.id)
        .limit(limit)
    )
    names = [column.key for column in LedgerEntry.__table__.columns]
    return [
        {**{name: getattr(line, name) for name in names}, "contact_name": contact, "timezone": timezone}
        for line, contact, timezone in rows
    ]
