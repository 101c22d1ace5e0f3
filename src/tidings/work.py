"""One unit of work: rows in one transaction, and the jobs released after its commit, never before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.db.database import Database
from tidings.db.failures import Failure, failure_of
from tidings.engine.jobs import Job
from tidings.errors import DatabaseUnavailable, QueueUnavailable
from tidings.log import get_logger

if TYPE_CHECKING:
    from tidings.engine.queues import Queues

log = get_logger(__name__)

AT_ONCE = 1000
"""Jobs that are made and released together."""

PATIENCE = 2.0
"""Seconds that a released job may take after a commit, and all that are released with it."""

RETRY_AFTER = {Failure.AWAY: 5.0, Failure.BUSY: 1.0}
"""Seconds after which it is worth while to ask the database again."""

LONGEST_REST = 0.5
"""Seconds that a large change rests at most between two of its portions."""

Result = TypeVar("Result")


class Unit:
    """A transaction under way, and what its commit will do to the queues."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.armed: list[Job] = []
        self.armed_later: list[Iterable[Job]] = []
        self.disarmed: dict[str, list[str]] = {}

    def arm(self, job: Job) -> None:
        """After the commit: the job exists, with this due time."""
        self.armed.append(job)

    def arm_many(self, jobs: Iterable[Job]) -> None:
        """The same for many jobs, which are made after the commit, so that not all of them are there at once."""
        self.armed_later.append(jobs)

    def disarm(self, queue: str, job_id: str) -> None:
        """After the commit: no job with this id waits in the queue."""
        self.disarmed.setdefault(queue, []).append(job_id)


class Work:
    """Opens transactions. Whoever holds one can read the time and write rows, and nothing else.

    Without `queues` rows can be read only: a change whose jobs have nowhere to go is not begun.
    """

    def __init__(self, database: Database, queues: Queues | None, clock: Clock) -> None:
        self.database = database
        self._queues = queues
        self.clock = clock

    @property
    def queues(self) -> Queues:
        """The queues. Raises RuntimeError where there are none."""
        if self._queues is None:
            raise RuntimeError("this application was opened for reading: it has no queues and changes nothing")
        return self._queues

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Unit]:
        """A writing unit. An error inside rolls the rows back and touches no queue.

        If Redis does not answer after the commit, the rows stay and recovery adds their jobs later. Raises
        DatabaseUnavailable when the database is away or busy, otherwise what it says.
        """
        session = AsyncSession(self.database.writer, expire_on_commit=False)
        with _telling_apart():
            async with session, session.begin():
                _ = self.queues  # asked for before anything is written
                unit = Unit(session)
                yield unit
        await self.release(chain(unit.armed, *unit.armed_later), unit.disarmed)

    async def retry(self, change: Callable[[Unit], Awaitable[Result]], *, tries: int = 3) -> Result:
        """What `change` comes to in a writing unit of its own, begun anew when it met another one.

        Two units that write the same new row at the same moment cannot both be committed: the one that comes second
        sees what the first has written when it is begun again. Raises IntegrityError after the last try.
        """
        for _ in range(tries - 1):
            try:
                async with self.begin() as unit:
                    return await change(unit)
            except IntegrityError:
                log.info("met another one about the same rows; beginning again")
        async with self.begin() as unit:
            return await change(unit)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for reading only. Raises DatabaseUnavailable as `begin` does."""
        with _telling_apart():
            async with AsyncSession(self.database.reader) as session:
                yield session

    async def release(self, armed: Iterable[Job], disarmed: Mapping[str, Sequence[str]] | None = None) -> None:
        """After a commit: `armed` jobs exist, and the `disarmed` (ids by queue) do not.

        Whoever waits for the commit is not to wait for Redis: once nothing has come of it for `PATIENCE` seconds, the
        rest is left to recovery.
        """
        released = 0
        try:
            async with asyncio.timeout(PATIENCE) as limit:
                for queue, job_ids in (disarmed or {}).items():
                    for start in range(0, len(job_ids), AT_ONCE):
                        await self.queues.disarm(queue, job_ids[start : start + AT_ONCE])
                        limit.reschedule(asyncio.get_running_loop().time() + PATIENCE)
                rest = iter(armed)
                while jobs := list(islice(rest, AT_ONCE)):
                    await self.queues.arm(jobs)
                    released += len(jobs)
                    limit.reschedule(asyncio.get_running_loop().time() + PATIENCE)
        except (QueueUnavailable, TimeoutError) as error:
            reason = str(error) or f"Redis does not answer within {PATIENCE:g} s"
            log.warning("jobs not released yet; recovery will add them", released=released, error=reason)


class Portions:
    """The units of work of one large change, one after another; between two of them others have their turn.

    Each is to be short. After it the change rests for as long as it has taken, so that a message that is due waits
    for one portion at most: for the loop, for a row, or for SQLite's one writer, also that of another process.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._took = 0.0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Unit]:
        """The next unit of work; see `Work.begin`."""
        if self._took:
            await asyncio.sleep(min(self._took, LONGEST_REST))
        async with self._work.begin() as unit:
            began = time.monotonic()
            yield unit
        self._took = time.monotonic() - began


@contextmanager
def _telling_apart() -> Iterator[None]:
    """Raises DatabaseUnavailable for what may succeed later."""
    try:
        yield
    except SQLAlchemyError as error:
        failure = failure_of(error)
        if failure is Failure.REFUSED:
            raise
        what = "cannot be reached" if failure is Failure.AWAY else "is busy with something else"
        retry_after = RETRY_AFTER[failure]
        raise DatabaseUnavailable(f"the database {what}: {_reason(error)}", retry_after=retry_after) from error


def _reason(error: SQLAlchemyError) -> str:
    """What the driver said, without the statement and its parameters, which may name people."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]
