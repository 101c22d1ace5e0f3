"""Trust: how far a contact welcomes what we write unasked. It rises with helpful replies and falls with silence.

A score from 0 to 100; 50 for somebody of whom nothing is known.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId

UNKNOWN = 50.0
LOWEST, HIGHEST = 0.0, 100.0

HELPFUL_REPLY = 10.0
NEUTRAL_REPLY = 3.0
UNHAPPY_REPLY = -15.0
OPTED_OUT = -50.0


class Trust(Base):
    """A contact's score, and what changed it last."""

    __tablename__ = "contact_trust"

    contact_id: Mapped[int] = mapped_column(BigId, ForeignKey("contractors.id"), primary_key=True)
    score: Mapped[float]
    reason: Mapped[str] = mapped_column(String(64))
    updated_at: Mapped[datetime]


async def trust_of(connection: AsyncConnection | AsyncSession, contact_ids: Collection[int]) -> dict[int, float]:
    """The score of every one of the contacts."""
    rows = await connection.execute(
        select(Trust.contact_id, Trust.score).where(Trust.contact_id.in_(sorted(contact_ids)))
    )
    return {**dict.fromkeys(contact_ids, UNKNOWN), **{row.contact_id: row.score for row in rows}}


async def change_trust(session: AsyncSession, contact_id: int, by: float, reason: str, now: datetime) -> float:
    """Changes one contact's score in the caller's transaction, within 0 and 100; returns the new one."""
    row = await session.get(Trust, contact_id, with_for_update=True)
    if row is None:
        row = Trust(contact_id=contact_id, score=UNKNOWN, reason=reason, updated_at=now)
        session.add(row)
    row.score = min(max(row.score + by, LOWEST), HIGHEST)
    row.reason, row.updated_at = reason, now
    await session.flush()
    return row.score
