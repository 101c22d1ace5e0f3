"""One unit of work: rows in one transaction, and the jobs released after its commit, never before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.db.database import Database
from tidings.engine.jobs import Job
from tidings.engine.queues import Queues
from tidings.errors import QueueUnavailable
from tidings.log import get_logger

log = get_logger(__name__)


class Unit:
    """A transaction under way, and what its commit will do to the queues."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.armed: list[Job] = []
        self.disarmed: dict[str, list[str]] = {}

    def arm(self, job: Job) -> None:
        """After the commit: the job exists, with this due time."""
        self.armed.append(job)

    def disarm(self, queue: str, job_id: str) -> None:
        """After the commit: no job with this id waits in the queue."""
        self.disarmed.setdefault(queue, []).append(job_id)


class Work:
    """Opens transactions. Whoever holds one can read the time and write rows, and nothing else."""

    def __init__(self, database: Database, queues: Queues, clock: Clock) -> None:
        self.database = database
        self.queues = queues
        self.clock = clock

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Unit]:
        """A writing unit. An error inside rolls the rows back and touches no queue.

        If Redis does not answer after the commit, the rows stay and the sweep adds their jobs later.
        """
        async with AsyncSession(self.database.writer, expire_on_commit=False) as session, session.begin():
            unit = Unit(session)
            yield unit
        await self.release(unit.armed, unit.disarmed)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for reading only."""
        async with AsyncSession(self.database.reader) as session:
            yield session

    async def release(self, armed: Sequence[Job], disarmed: Mapping[str, Sequence[str]] | None = None) -> None:
        """After a commit: `armed` jobs exist, and the `disarmed` (ids by queue) do not."""
        try:
            for queue, job_ids in (disarmed or {}).items():
                await self.queues.disarm(queue, job_ids)
            await self.queues.arm(armed)
        except QueueUnavailable as error:
            log.warning("jobs not released yet; the sweep will add them", jobs=len(armed), error=str(error))
