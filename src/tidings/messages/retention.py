"""Retention: what grows for ever is deleted when it is old, in small portions, so that nothing due waits for it.

Each room declares what it keeps and for how long; one job an hour does it for the whole installation. Messages stay,
except those of chats: they say what was sent to whom. Opt-outs and consents stay, as evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, CursorResult, delete, inspect, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.engine.jobs import Handler, JobType, Run, Schedule
from tidings.engine.policy import QueuePolicy
from tidings.log import get_logger
from tidings.messages.dead_letters import DeadLetter, DeadLetterStatus
from tidings.messages.gate.rules import LONGEST_WINDOW
from tidings.messages.gate.standing import Admission
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.kind import Kinds
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import OPEN, Status
from tidings.messages.usage import AiUsage
from tidings.settings import CoreSettings
from tidings.work import Work

log = get_logger(__name__)

RETENTION = QueuePolicy("retention", concurrency=1, attempts=3, backoff=60.0)

BATCH = 1000
"""Rows that one transaction looks at, and deletes at most."""

PAUSE = 0.05
"""Real seconds between two transactions that delete; SQLite has one writer, and messages are waiting for it."""

MOST = 50_000
"""Rows that go from one table in one run, so that a worker can be stopped soon; the rest goes in later ones."""


class SweepJob(BaseModel):
    """A look for what is old. It carries nothing."""


SWEEP = JobType(RETENTION, "sweep", SweepJob)
EVERY_HOUR = Schedule("retention-every-hour", SWEEP, SweepJob(), seconds=3600.0, cron="23 * * * *")


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Keeping:
    """For how long a table keeps its rows: for `age` after `time`, None for ever.

    `may_go` says which of the old ones may go at all, given the moment (UTC) before which rows are old, and
    `needed` which of the given ids may not, because of what another table says. Rows are looked at in order of id,
    which rises with `time` as far as that matters, `by_time` in order of time: a run ends where nothing is old any
    more.
    """

    model: type[Any]
    time: Any
    age: timedelta | None
    may_go: Callable[[datetime], ColumnElement[bool]] | None = None
    needed: Callable[[AsyncSession, Sequence[int]], Awaitable[Sequence[int]]] | None = None
    by_time: bool = False


def days(number: int) -> timedelta | None:
    """A setting in days as an age; 0 is for ever."""
    return timedelta(days=number) if number else None


def keepings(settings: CoreSettings, kinds: Kinds) -> tuple[Keeping, ...]:
    """What is kept of messages of every kind. `kinds` may fill up later."""
    return (
        Keeping(
            LedgerEntry,
            LedgerEntry.at,
            days(settings.keep_ledger_days),
            needed=lambda session, ids: _lines_of_open_messages(session, kinds, ids),
        ),
        Keeping(StoredReply, StoredReply.created_at, days(settings.keep_replies_days)),
        Keeping(AiUsage, AiUsage.at, days(settings.keep_ai_usage_days)),
        Keeping(
            DeadLetter,
            DeadLetter.failed_at,
            days(settings.keep_dead_letters_days),
            lambda before: DeadLetter.status != DeadLetterStatus.OPEN,  # those wait for somebody
        ),
        # Places that count in no cap any more; the gate only removes those of people whom it decides about.
        Keeping(Admission, Admission.at, LONGEST_WINDOW + timedelta(days=1), by_time=True),
    )


async def _lines_of_open_messages(session: AsyncSession, kinds: Kinds, ids: Sequence[int]) -> list[int]:
    """Those of the ledger's lines (by id) that are about messages which are still to go out or be settled."""
    found: list[int] = []
    for name in await session.scalars(select(LedgerEntry.kind).where(LedgerEntry.id.in_(ids)).distinct()):
        if name in kinds:  # lines may be older than what this version knows
            model = kinds[name].model
            found += await session.scalars(
                select(LedgerEntry.id)
                .join(model, model.id == LedgerEntry.message_id)
                .where(
                    LedgerEntry.id.in_(ids),
                    LedgerEntry.kind == name,
                    model.status.in_((*OPEN, Status.WAITING, Status.UNKNOWN)),
                )
            )
    return found


class Retention:
    """Deletes what is old. It may run twice, or twice at once."""

    def __init__(self, work: Work, keepings: Sequence[Keeping]) -> None:
        self._work = work
        self._keepings = keepings

    def handler(self) -> Handler[SweepJob]:
        """What a worker does once an hour."""
        return Handler(SWEEP, self.sweep)

    async def sweep(self, data: SweepJob, run: Run) -> dict[str, int]:
        """Deletes what is old of every table; returns how many rows of which, where there were any."""
        gone = {one.model.__tablename__: await self._sweep(one) for one in self._keepings}
        deleted = {table: rows for table, rows in gone.items() if rows}
        if deleted:
            log.info("old rows deleted", **deleted)
        return deleted

    async def _sweep(self, keeping: Keeping) -> int:
        if keeping.age is None:
            return 0
        before = self._work.clock.now() - keeping.age
        order, start = (keeping.time, _BEGINNING) if keeping.by_time else (keeping.model.id, 0)
        gone, place = 0, order > start
        while gone < MOST:
            looked_at = select(order, keeping.time).where(place).order_by(order).limit(BATCH)
            async with self._work.read() as session:
                rows = (await session.execute(looked_at)).all()
                old = [key for key, time in rows if time < before]
                needed = await keeping.needed(session, old) if keeping.needed and old else ()
            if not old:
                break
            if len(needed) < len(old):
                kept = [order.not_in(needed)] if needed else []
                gone += await self._delete(keeping, before, place, order <= old[-1], *kept)
                await asyncio.sleep(PAUSE)
            if len(rows) < BATCH:
                break
            place = order > rows[-1][0]
        return gone

    async def _delete(self, keeping: Keeping, before: datetime, *which: ColumnElement[bool]) -> int:
        """Deletes old rows; one that somebody has in their hands goes the next time."""
        key = inspect(keeping.model).primary_key
        is_old = (*which, keeping.time < before, *([keeping.may_go(before)] if keeping.may_go else []))
        chosen = select(*key).where(*is_old).order_by(*key).with_for_update(skip_locked=True)
        async with self._work.begin() as unit:
            result = await unit.session.execute(
                delete(keeping.model)
                .where(*which, (tuple_(*key) if len(key) > 1 else key[0]).in_(chosen))
                .execution_options(synchronize_session=False)
            )
        assert isinstance(result, CursorResult)
        return result.rowcount
