"""Recovery: every scheduled row has its job, whatever happened to Redis.

Rows are the truth. At start, and whenever Redis turns out to be empty, all jobs are rebuilt from the rows;
in between, rows that are due soon are checked and re-armed when their job is missing or stands too late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from tidings.engine.jobs import Schedule
from tidings.errors import QueueUnavailable
from tidings.log import get_logger
from tidings.messages.kind import Kinds, MessageKind
from tidings.messages.statuses import OPEN
from tidings.work import Work

log = get_logger(__name__)

PAGE = 1000
HORIZON = timedelta(hours=1)
"""How far ahead the regular check looks."""

SLACK = 2.0
"""Seconds a job may stand behind its row's time; a retry's backoff starts a little after its record."""

WATCH_INTERVAL = 1.0
"""Seconds between two looks at whether Redis was emptied."""


class Recovery:
    """Watches over the jobs of all kinds of messages and the recurring schedules. `interval` is in real seconds."""

    def __init__(self, work: Work, kinds: Kinds, schedules: Sequence[Schedule[Any]], *, interval: float) -> None:
        self._work = work
        self._kinds = kinds
        self._schedules = schedules
        self._interval = interval

    async def rebuild(self) -> int:
        """Puts back every missing job and schedule. Returns how many jobs were missing."""
        for schedule in self._schedules:
            await self._work.queues.put_schedule(schedule)
        armed = sum([await self._rearm(kind, before=None) for kind in self._kinds.values()])
        await self._work.queues.mark_armed()
        return armed

    async def check(self) -> int:
        """Puts back missing jobs of rows that are due within the horizon. Returns how many there were."""
        before = self._work.clock.now() + HORIZON
        return sum([await self._rearm(kind, before=before) for kind in self._kinds.values()])

    async def run(self) -> None:
        """Recovers until cancelled. Failures of Redis or the database are logged and tried again."""
        loop = asyncio.get_running_loop()
        next_check = 0.0
        emptied = True  # at start nothing is known
        while True:
            try:
                emptied = emptied or await self._work.queues.was_emptied()
                if emptied:
                    armed, emptied = await self.rebuild(), False
                    next_check = loop.time() + self._interval
                    if armed:
                        log.warning("jobs rebuilt from rows", jobs=armed)
                elif loop.time() >= next_check:
                    next_check = loop.time() + self._interval
                    if armed := await self.check():
                        log.warning("due rows without a job re-armed", jobs=armed)
            except QueueUnavailable as error:
                log.warning("recovery waits for Redis", error=str(error))
            except Exception:
                log.exception("recovery failed; it will try again")
            await asyncio.sleep(WATCH_INTERVAL)

    async def _rearm(self, kind: MessageKind, *, before: datetime | None) -> int:
        armed, last_id = 0, 0
        while rows := await self._page(kind, before, last_id):
            last_id = rows[-1].id
            jobs = {kind.job_id(row.id): row.id for row in rows}
            missing = await self._work.queues.find_missing([kind.job(row) for row in rows], slack=SLACK)
            if missing:
                armed += await self._arm(kind, [jobs[job.id] for job in missing if job.id])
        return armed

    async def _arm(self, kind: MessageKind, ids: Sequence[int]) -> int:
        """Arms jobs that were missing at the first look, by what their rows say now.

        A worker may have moved the row and its job in between: the job, with the attempts it has had, has to stay.
        """
        model = kind.model
        query = select(model).where(model.id.in_(ids), model.status.in_(OPEN)).order_by(model.id)
        async with self._work.read() as session:
            rows = (await session.scalars(query)).all()
        return await self._work.queues.arm_missing([kind.job(row) for row in rows], slack=SLACK)

    async def _page(self, kind: MessageKind, before: datetime | None, after_id: int) -> Sequence[Any]:
        model = kind.model
        query = select(model).where(model.status.in_(OPEN), model.id > after_id)
        if before is not None:
            query = query.where(model.scheduled_time <= before)
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(model.id).limit(PAGE))).all()
