"""Which follow-ups there are: one, those that are to go out, those that are due, and those of a contractor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.features.followups.models import FollowUp
from tidings.messages.contacts.contractors import find_contractor
from tidings.messages.statuses import OPEN, Status


async def find_follow_up(session: AsyncSession, follow_up_id: int, *, lock: bool = False) -> FollowUp:
    """The follow-up; with `lock` no worker takes it until the unit of work ends. Raises NotFound."""
    row = await session.get(FollowUp, follow_up_id, with_for_update=lock or None)
    if row is None:
        raise NotFound("follow-up", follow_up_id)
    return row


async def next_to_go(session: AsyncSession, *conditions: ColumnElement[bool], limit: int) -> Sequence[FollowUp]:
    """Follow-ups that meet all the conditions, the one whose time comes first before the others."""
    query = select(FollowUp).where(*conditions).order_by(FollowUp.scheduled_time, FollowUp.id).limit(limit)
    return (await session.scalars(query)).all()


async def follow_ups_of(
    session: AsyncSession, contractor_id: int, status: Status | None, after_id: int, limit: int
) -> Sequence[FollowUp]:
    """A contractor's follow-ups in order of id, from the one after `after_id`. Raises NotFound."""
    await find_contractor(session, contractor_id)
    query = select(FollowUp).where(FollowUp.contractor_id == contractor_id, FollowUp.id > after_id)
    if status is not None:
        query = query.where(FollowUp.status == status)
    return (await session.scalars(query.order_by(FollowUp.id).limit(limit))).all()


def due_by(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Waiting rows whose time has come and that nobody holds or has put off."""
    free = or_(FollowUp.held_until.is_(None), FollowUp.held_until <= now)
    return FollowUp.status.in_(OPEN), FollowUp.scheduled_time <= now, free
