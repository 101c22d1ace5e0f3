"""The sweep: every scheduled row has its job, whatever happened to Redis.

Rows are the truth. At start, and whenever Redis turns out to be empty, all jobs are rebuilt from the rows;
in between, rows that are due soon are checked and re-armed when their job is missing or stands too late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from tidings.engine.jobs import Job, Schedule
from tidings.engine.queues import ArmedJob
from tidings.errors import QueueUnavailable
from tidings.log import get_logger
from tidings.messages.kind import Outbox
from tidings.messages.statuses import OPEN
from tidings.work import Work

log = get_logger(__name__)

PAGE = 1000
HORIZON = timedelta(hours=1)
"""How far ahead the regular sweep looks."""

SLACK = 2.0
"""Seconds a job may stand behind its row's time; a retry's backoff starts a little after its record."""

WATCH_INTERVAL = 1.0
"""Seconds between two looks at whether Redis was emptied."""


class Sweep:
    """Watches over the jobs of all outboxes and the recurring schedules. `interval` is in real seconds."""

    def __init__(
        self, work: Work, outboxes: Sequence[Outbox], schedules: Sequence[Schedule[Any]], *, interval: float
    ) -> None:
        self._work = work
        self._outboxes = outboxes
        self._schedules = schedules
        self._interval = interval

    async def rebuild(self) -> int:
        """Puts back every missing job and schedule. Returns how many jobs were missing."""
        armed = 0
        for schedule in self._schedules:
            await self._work.queues.put_schedule(schedule)
        for outbox in self._outboxes:
            armed += await self._rearm(outbox, before=None)
        await self._work.queues.mark_armed()
        return armed

    async def check(self) -> int:
        """Puts back missing jobs of rows that are due within the horizon. Returns how many there were."""
        before = self._work.clock.now() + HORIZON
        return sum([await self._rearm(outbox, before=before) for outbox in self._outboxes])

    async def run(self) -> None:
        """Sweeps until cancelled. Failures of Redis or the database are logged and tried again."""
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
                log.warning("sweep waits for Redis", error=str(error))
            except Exception:
                log.exception("sweep failed; it will try again")
            await asyncio.sleep(WATCH_INTERVAL)

    async def _rearm(self, outbox: Outbox, *, before: datetime | None) -> int:
        armed, last_id = 0, 0
        while rows := await self._page(outbox, before, last_id):
            last_id = rows[-1].id
            jobs = [outbox.alarm(row) for row in rows]
            missing = [
                job
                for job, present in await self._look_up(jobs)
                if present is None or (job.due and present.seconds > self._seconds_until(job.due) + SLACK)
            ]
            await self._work.queues.arm(missing)
            armed += len(missing)
        return armed

    async def _look_up(self, jobs: Sequence[Job]) -> list[tuple[Job, ArmedJob | None]]:
        """Each job with what its queue knows of it. A feature's messages may wait in several queues."""
        found: list[tuple[Job, ArmedJob | None]] = []
        for queue in dict.fromkeys(job.queue for job in jobs):
            theirs = [job for job in jobs if job.queue == queue]
            found += zip(theirs, await self._work.queues.find(queue, [job.id or "" for job in theirs]), strict=True)
        return found

    async def _page(self, outbox: Outbox, before: datetime | None, after_id: int) -> Sequence[Any]:
        model = outbox.model
        query = select(model).where(model.status.in_(OPEN), model.id > after_id)
        if before is not None:
            query = query.where(model.scheduled_time <= before)
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(model.id).limit(PAGE))).all()

    def _seconds_until(self, due: datetime) -> float:
        return max(self._work.clock.seconds_until(due), 0.0)
