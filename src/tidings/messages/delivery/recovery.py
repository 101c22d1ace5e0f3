"""Recovery: every row that is due within the horizon has its job, whatever happened to Redis, and every end its due.

Rows are the truth. One process at a time recovers, and notes in Redis how far it has come: rows are loaded in the
order in which they are due, from the first one after Redis was emptied, and from then on as they come within the
horizon. What was loaded is looked at again and again, soon before its time in any case, and gets a job when it has
none. What should have followed from the ends of messages, and was lost, is written after all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from tidings.engine.jobs import Schedule
from tidings.engine.progress import Turn
from tidings.errors import QueueUnavailable
from tidings.log import get_logger
from tidings.messages.delivery.lost_endings import make_good
from tidings.messages.delivery.open_rows import START, OpenRows, Position, read_page, read_rows
from tidings.messages.kind import Kinds, MessageKind
from tidings.work import Work

log = get_logger(__name__)

PAGE = 2000

SLACK = 2.0
"""Seconds a job may stand behind its row's time; a retry's backoff starts a little after its record."""

WATCH_INTERVAL = 1.0
"""Seconds between two looks at whether Redis was emptied."""

SOON = 5
"""Intervals that a row's time may be away, for its job to be looked at in every check."""

MOST_SOON, MOST_OVERDUE, MOST_LATER = 10_000, 10_000, 5_000
"""Rows of a kind that one check looks at; the next one goes on after them."""

FIRST_STEPS = (300.0, 3600.0)
"""Seconds ahead up to which the rows of all kinds are loaded first."""


class Recovery:
    """Watches over the jobs of all kinds of messages and the recurring schedules. `interval` is in real seconds."""

    def __init__(self, work: Work, kinds: Kinds, schedules: Sequence[Schedule[Any]], *, interval: float) -> None:
        self._work = work
        self._kinds = kinds
        self._schedules = schedules
        self._interval = interval
        self._looked_at = time.monotonic()

    def looked_within(self, seconds: float) -> bool:
        """Whether `run` has found out in the last seconds what is missing; it counts from when this was made."""
        return time.monotonic() - self._looked_at < seconds

    async def rebuild(self) -> int:
        """Looks at every row up to the horizon, and puts back missing jobs and schedules. Returns how many jobs were
        missing; it waits while another process recovers."""
        while True:
            async with self._work.queues.progress.turn(next_check=self._interval) as turn:
                if turn:
                    await turn.forget()
                    return await self._rebuild(turn)
            await asyncio.sleep(0.05)

    async def check(self) -> int:
        """Puts back missing jobs of rows that are due soon or overdue, and of some of the others within the horizon,
        and writes what should have followed from ends. Returns how many jobs were missing; it waits while another
        process recovers."""
        while True:
            async with self._work.queues.progress.turn(next_check=self._interval) as turn:
                if turn:
                    return await self._check(turn)
            await asyncio.sleep(0.05)

    async def run(self) -> None:
        """Recovers until cancelled. Failures of Redis or the database are logged and tried again."""
        ready = False
        while True:
            try:
                if not ready:
                    await self._put_schedules()  # they may be others than those of the last version
                await self._look()
                self._looked_at = time.monotonic()
                if not ready:
                    ready = True
                    log.info("recovery ready", schedules=len(self._schedules))
            except QueueUnavailable as error:
                log.warning("recovery waits for Redis", error=str(error))
            except Exception:
                log.exception("recovery failed; it will try again")
            await asyncio.sleep(WATCH_INTERVAL)

    async def _look(self) -> None:
        progress = self._work.queues.progress
        emptied, is_due = await progress.look()
        if not emptied and not is_due:
            return
        async with progress.turn(next_check=self._interval) as turn:
            if turn and not turn.is_complete:
                if armed := await self._rebuild(turn):
                    log.warning("jobs rebuilt from rows", jobs=armed)
            elif turn and turn.is_due and (armed := await self._check(turn)):
                log.warning("due rows without a job re-armed", jobs=armed)

    async def _put_schedules(self) -> None:
        for schedule in self._schedules:
            await self._work.queues.put_schedule(schedule)

    async def _rebuild(self, turn: Turn) -> int:
        await self._put_schedules()
        armed = await self._load_all(turn)
        await turn.complete()
        return armed

    async def _check(self, turn: Turn) -> int:
        armed = await self._load_all(turn)
        clock = self._work.clock
        now, soon = clock.now(), clock.after(SOON * self._interval)
        for kind in self._kinds.values():
            loaded = _noted(turn, kind.name).time
            armed += await self._walk(turn, kind, "soon", Position.after(now), soon, MOST_SOON)
            armed += await self._walk(turn, kind, "overdue", START, now, MOST_OVERDUE)
            armed += await self._walk(turn, kind, "later", Position.after(soon), loaded, MOST_LATER)
        for kind in self._kinds.values():
            await make_good(self._work, kind)
        return armed

    async def _load_all(self, turn: Turn) -> int:
        """From where the notes say to the horizon; what is due soon first, so that nothing waits for what is not."""
        armed = 0
        for seconds in (*FIRST_STEPS, None):
            for kind in self._kinds.values():
                armed += await self._load(turn, kind, seconds)
        return armed

    async def _load(self, turn: Turn, kind: MessageKind, seconds: float | None) -> int:
        """Goes on with a kind's rows that were not loaded yet, up to so many seconds ahead, or up to the horizon."""
        armed = 0
        while True:
            start, until = _noted(turn, kind.name), await self._work.queues.horizon()
            if seconds is not None:
                step = self._work.clock.after(seconds)
                until = step if until is None else min(step, until)
            if until is not None and start >= (edge := Position.after(until)):
                if seconds is None and start > edge:  # nearer than before: rows behind it are not armed any more
                    await turn.note({kind.name: edge.write()})
                return armed
            page = await read_page(self._work.database, kind, start, until, PAGE)
            armed += await self._restore(kind, page)
            await turn.note({kind.name: page.end.write()})
            if page.is_last:
                return armed

    async def _walk(
        self, turn: Turn, kind: MessageKind, name: str, start: Position, until: datetime, most: int
    ) -> int:
        """Looks at rows after `start`, where the last walk of this name stopped; it begins anew at the end."""
        note, armed = f"{kind.name}:{name}", 0
        place = max(start, _noted(turn, note))
        for size in _sizes(most):
            page = await read_page(self._work.database, kind, place, until, size)
            armed += await self._restore(kind, page)
            place = page.end
            if page.is_last:
                await turn.note({note: ""})
                return armed
            await turn.note({note: place.write()})
        return armed

    async def _restore(self, kind: MessageKind, page: OpenRows) -> int:
        """Arms the jobs of a page that are missing or stand too late, by what their rows say now.

        A worker may have moved a row and its job in between: the job, with the attempts it has had, has to stay.
        """
        queues = self._work.queues
        dues: dict[str, datetime | None] = {kind.job_id(row_id): due for row_id, due in page.dues.items()}
        names = list(dict.fromkeys(job_type.queue.name for job_type in kind.job_types()))
        missing = set(await queues.find_missing(names, dues, slack=SLACK))
        ids = [row_id for row_id in page.dues if kind.job_id(row_id) in missing] if missing else []
        if not ids:
            return 0
        rows = await read_rows(self._work.database, kind, ids)
        return await queues.arm_missing([kind.job(row) for row in rows], slack=SLACK)


def _noted(turn: Turn, name: str) -> Position:
    written = turn.notes.get(name)
    return Position.read(written) if written else START


def _sizes(most: int) -> Iterator[int]:
    while most > 0:
        yield min(most, PAGE)
        most -= PAGE
