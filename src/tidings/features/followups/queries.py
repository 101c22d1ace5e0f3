"""The verbs that only look at follow-ups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput, NotFound
from tidings.features.followups import figures
from tidings.features.followups.jobs import CONTRACTOR_FOLLOWUPS
from tidings.features.followups.models import FollowUp
from tidings.features.followups.schemas import Effectiveness, SchedulerStats
from tidings.messages.contacts.contractors import find_contractor
from tidings.messages.statuses import OPEN, Status
from tidings.work import Work

MAX_DAYS = 3650


class Reading:
    """Lists and figures. `_timezone` is the default one, whose midnight begins a day."""

    _work: Work
    _timezone: str

    async def get_follow_up(self, follow_up_id: int) -> FollowUp:
        """One follow-up. Raises NotFound."""
        async with self._work.read() as session:
            return await find_follow_up(session, follow_up_id)

    async def get_pending_follow_ups(self, limit: int = 100) -> Sequence[FollowUp]:
        """Follow-ups that are still to go out, the next one first."""
        return await self._in_order(FollowUp.status.in_(OPEN), limit=limit)

    async def get_due_follow_ups(self, limit: int = 100) -> Sequence[FollowUp]:
        """Follow-ups whose time has come and that wait for a worker, the oldest first."""
        return await self._in_order(*figures.due_by(self._work.clock.now()), limit=limit)

    async def get_contractor_follow_ups(
        self, contractor_id: int, *, status: Status | None = None, after_id: int = 0, limit: int = 100
    ) -> Sequence[FollowUp]:
        """A contractor's follow-ups in order of id, from the one after `after_id`. Raises NotFound."""
        query = select(FollowUp).where(FollowUp.contractor_id == contractor_id, FollowUp.id > after_id)
        if status is not None:
            query = query.where(FollowUp.status == status)
        async with self._work.read() as session:
            await find_contractor(session, contractor_id)
            return (await session.scalars(query.order_by(FollowUp.id).limit(limit))).all()

    async def get_effectiveness(self, days: int = 30) -> list[Effectiveness]:
        """How well each type of follow-up did in the last `days`. Raises InvalidInput."""
        if not 1 <= days <= MAX_DAYS:
            raise InvalidInput("days", f"is {days}; give a number from 1 to {MAX_DAYS}")
        async with self._work.read() as session:
            return await figures.effectiveness(session, self._work.clock.now() - timedelta(days=days))

    async def get_scheduler_stats(self) -> SchedulerStats:
        """Counts by status, what is due, what was sent today, and the queue's jobs."""
        now = self._work.clock.now()
        today = now.astimezone(ZoneInfo(self._timezone)).date()
        midnight = datetime.combine(today, time(), ZoneInfo(self._timezone)).astimezone(UTC)
        async with self._work.read() as session:
            counts = await figures.scheduler_figures(session, now, midnight)
        queue = (await self._work.queues.stats(CONTRACTOR_FOLLOWUPS.name)).as_dict()
        return SchedulerStats(**counts, queue=queue)

    async def _in_order(self, *conditions: Any, limit: int) -> Sequence[FollowUp]:
        query = select(FollowUp).where(*conditions).order_by(FollowUp.scheduled_time, FollowUp.id).limit(limit)
        async with self._work.read() as session:
            return (await session.scalars(query)).all()


async def find_follow_up(session: AsyncSession, follow_up_id: int, *, lock: bool = False) -> FollowUp:
    """The follow-up; with `lock` no worker takes it until the unit of work ends. Raises NotFound."""
    row = await session.get(FollowUp, follow_up_id, with_for_update=lock or None)
    if row is None:
        raise NotFound("follow-up", follow_up_id)
    return row
