"""Registrations of a person who stood there twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.events.models import Registration
from tidings.messages.kind import RowChange

_TAKEN_OVER = ("session_keys", "registered_at", "profile_completed_at", "cancelled_at")


async def merge_registrations(
    session: AsyncSession, kept_id: int, merged_id: int, now: datetime
) -> Sequence[RowChange]:
    """Makes one of two registrations for the same event, and ends the other; what was changed.

    The caller holds those of the events that are not over, as `contacts_changing` does.
    """
    both = (kept_id, merged_id)
    rows = (await session.scalars(select(Registration).where(Registration.contractor_id.in_(both)))).all()
    kept = {row.event_id: row for row in rows if row.contractor_id == kept_id}
    changes: list[RowChange] = []
    for other in rows:
        mine = kept.get(other.event_id)
        if other.contractor_id != merged_id or mine is None or other.cancelled_at is not None:
            continue
        if mine.cancelled_at is not None:
            changes.append(_change(mine, {name: getattr(other, name) for name in _TAKEN_OVER}))
        elif mine.session_keys != other.session_keys:
            chosen = mine.session_keys and other.session_keys  # none chosen is all
            keys = sorted({*mine.session_keys, *other.session_keys}) if chosen else []
            changes.append(_change(mine, {"session_keys": keys}))
        changes.append(_change(other, {"cancelled_at": now}))
    await session.flush()
    return changes


def _change(row: Registration, after: dict[str, Any]) -> RowChange:
    before = {name: getattr(row, name) for name in after}
    for name, value in after.items():
        setattr(row, name, value)
    return RowChange(Registration.__tablename__, row.id, before, after)
