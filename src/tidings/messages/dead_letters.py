"""Dead letters: jobs that failed for good, kept in the database for as long as nobody has dealt with them.

Redis keeps only the latest failed jobs of a queue, and none after it was emptied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, String, Text, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.engine.jobs import DeadJob, Job, comes_again
from tidings.errors import Conflict, NotFound, QueueUnavailable
from tidings.log import get_logger
from tidings.messages.kind import Kinds, parse_name
from tidings.messages.statuses import TAKEN, Status
from tidings.work import Work

log = get_logger(__name__)


class DeadLetterStatus(StrEnum):
    """What was done about a dead letter. It is resolved when its message has left, or was called off, in another way:
    somebody gave it a new time, or its provider reported that it had arrived after all."""

    OPEN = "open"
    RETRIED = "retried"
    DISCARDED = "discarded"
    RESOLVED = "resolved"


_OVER = (*TAKEN, Status.SKIPPED, Status.CANCELLED)
"""Statuses of a message that nobody has to deal with any more."""

_PAGE = 1000


class DeadLetter(Base):
    """A job that failed for good. `attempts` is how often it was tried, `failed_at` the last time (UTC)."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index(None, "status", "queue"), Index(None, "queue", "job_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    queue: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    job_id: Mapped[str] = mapped_column(String(255))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    priority: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int]
    failed_at: Mapped[datetime]
    request_id: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(16), default=DeadLetterStatus.OPEN)
    settled_at: Mapped[datetime | None] = mapped_column(default=None)


class DeadLetters:
    """Keeps dead letters and puts their jobs back. Jobs of messages of `kinds` may be among them."""

    def __init__(self, work: Work, kinds: Kinds) -> None:
        self._work = work
        self._kinds = kinds

    async def store(self, job: DeadJob) -> int:
        """Keeps one; returns its id. A job that failed before and was not dealt with has one letter, the latest.

        Jobs are told apart by their ids, and by their data where ids come again.
        """
        job_id = storable_json(job.job_id)[:255]
        values = {
            "name": storable_json(job.name)[:200],
            "data": storable_json(job.data) if isinstance(job.data, dict) else {"data": storable_json(job.data)},
            "priority": job.priority,
            "error": storable_json(job.error),
            "attempts": job.attempts,
            "failed_at": job.failed_at,
            "request_id": storable_json(job.request_id)[:100],
        }
        async with self._work.begin() as unit:
            letters = await unit.session.scalars(
                select(DeadLetter)
                .where(
                    DeadLetter.queue == job.queue,
                    DeadLetter.job_id == job_id,
                    DeadLetter.name == values["name"],
                    DeadLetter.status == DeadLetterStatus.OPEN,
                )
                .order_by(DeadLetter.id)
                .with_for_update()
            )
            same = [one for one in letters if not comes_again(job_id) or one.data == values["data"]]
            row = same[-1] if same else None
            if row is None:
                row = DeadLetter(queue=job.queue, job_id=job_id, **values)
                unit.session.add(row)
            else:
                for name, value in values.items():
                    setattr(row, name, value)
            await unit.session.flush()
            return row.id

    async def get(self, letter_id: int) -> DeadLetter:
        """One dead letter. Raises NotFound."""
        async with self._work.read() as session:
            return await _find(session, letter_id)

    async def list_letters(
        self,
        *,
        queue: str | None = None,
        status: DeadLetterStatus | None = DeadLetterStatus.OPEN,
        after_id: int = 0,
        limit: int = 100,
    ) -> Sequence[DeadLetter]:
        """Dead letters in order of id, from the one after `after_id`; `status` None means all."""
        query = select(DeadLetter).where(DeadLetter.id > after_id)
        if queue is not None:
            query = query.where(DeadLetter.queue == queue)
        if status is not None:
            query = query.where(DeadLetter.status == status)
        await self.resolve()
        async with self._work.read() as session:
            return (await session.scalars(query.order_by(DeadLetter.id).limit(limit))).all()

    async def count_open(self) -> dict[str, int]:
        """How many wait in each queue that has any."""
        query = (
            select(DeadLetter.queue, func.count().label("letters"))
            .where(DeadLetter.status == DeadLetterStatus.OPEN)
            .group_by(DeadLetter.queue)
        )
        await self.resolve()
        async with self._work.read() as session:
            return {row.queue: row.letters for row in await session.execute(query)}

    async def resolve(self) -> int:
        """Closes the letters whose messages have left or were called off since; returns how many."""
        resolved, last = 0, 0
        while True:
            async with self._work.read() as session:
                page = await session.execute(
                    select(DeadLetter.id, DeadLetter.job_id)
                    .where(DeadLetter.status == DeadLetterStatus.OPEN, DeadLetter.id > last)
                    .order_by(DeadLetter.id)
                    .limit(_PAGE)
                )
                letters = page.all()
                over = await self._over(session, letters)
            if over:
                async with self._work.begin() as unit:
                    rows = await unit.session.scalars(
                        select(DeadLetter).where(DeadLetter.id.in_(over)).order_by(DeadLetter.id).with_for_update()
                    )
                    for row in rows:
                        if row.status == DeadLetterStatus.OPEN:
                            self._settle(row, DeadLetterStatus.RESOLVED)
                            resolved += 1
            if len(letters) < _PAGE:
                return resolved
            last = letters[-1].id

    async def _over(self, session: AsyncSession, letters: Sequence[Any]) -> list[int]:
        """Which of these letters are about messages that nobody has to deal with any more."""
        named: dict[str, dict[int, list[int]]] = {}
        for letter in letters:
            kind, message_id = parse_name(letter.job_id) or ("", 0)
            if kind in self._kinds:
                named.setdefault(kind, {}).setdefault(message_id, []).append(letter.id)
        over: list[int] = []
        for kind, messages in named.items():
            model = self._kinds[kind].model
            found = await session.scalars(select(model.id).where(model.id.in_(messages), model.status.in_(_OVER)))
            over += [letter_id for message_id in found for letter_id in messages[message_id]]
        return over

    async def retry(self, letter_id: int) -> DeadLetter:
        """Adds the job again, with the same name and data, and the same id unless that may be another job's by now.
        A message that failed with it is to go out again.

        Raises NotFound, Conflict when it was dealt with already or its queue is no more, and QueueUnavailable;
        then the letter stays open.
        """
        await self.resolve()
        if not await self._work.queues.ping():
            raise QueueUnavailable("Redis does not answer, so the job cannot be added; try again later")
        async with self._work.begin() as unit:
            row = await _find(unit.session, letter_id, lock=True)
            self._settle(row, DeadLetterStatus.RETRIED)
            if row.queue not in self._work.queues.policies:
                raise Conflict(f"dead letter {row.id} is of the queue {row.queue}, which is no more; discard it")
            await self._reopen_message(unit.session, row)
            # The letter's own id: should the commit fail, its next retry is the same job.
            job_id = f"dead-letter-{row.id}" if comes_again(row.job_id) else row.job_id
            job = Job(row.queue, row.name, job_id, row.data, priority=row.priority)
            # Before the commit: if Redis refuses the job, the letter stays open; added twice, it is one job.
            await self._work.queues.arm([job])
        log.info("dead letter retried", queue=row.queue, job_id=row.job_id, letter=row.id)
        return row

    async def discard(self, letter_id: int) -> DeadLetter:
        """Notes that nothing is to be done about it. Raises NotFound, and Conflict when it was dealt with already."""
        async with self._work.begin() as unit:
            row = await _find(unit.session, letter_id, lock=True)
            self._settle(row, DeadLetterStatus.DISCARDED)
        return row

    async def _reopen_message(self, session: AsyncSession, letter: DeadLetter) -> None:
        """A job finds nothing to do for a message that has failed."""
        named = parse_name(letter.job_id)
        if named is None or named[0] not in self._kinds:
            return
        kind, message_id = self._kinds[named[0]], named[1]
        row = await session.get(kind.model, message_id, with_for_update=True)
        if row is not None and row.status == Status.FAILED:
            row.status, row.attempts, row.held_until = Status.SCHEDULED, 0, None
            row.error_message, row.updated_at = None, self._work.clock.now()
            await session.flush()

    def _settle(self, row: DeadLetter, status: DeadLetterStatus) -> None:
        if row.status != DeadLetterStatus.OPEN:
            raise Conflict(f"dead letter {row.id} was {row.status} already")
        row.status, row.settled_at = status, self._work.clock.now()


async def _find(session: AsyncSession, letter_id: int, *, lock: bool = False) -> DeadLetter:
    row = await session.get(DeadLetter, letter_id, with_for_update=lock or None)
    if row is None:
        raise NotFound("dead letter", letter_id)
    return row


def storable_json(value: Any) -> Any:
    """JSON without what PostgreSQL cannot store: NUL characters, and halves of characters."""
    if isinstance(value, str):
        return value.replace("\0", "").encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {storable_json(str(key)): storable_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(item) for item in value]
    return value
