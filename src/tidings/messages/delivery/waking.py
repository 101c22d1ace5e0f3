"""Waking messages that wait for a provider: one to try whether it is back, and all of them once it is.

They wait as rows with a hold of some minutes, so neither their number nor the end of this process matters: whoever
starts wakes what others have left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from tidings.errors import QueueUnavailable
from tidings.log import get_logger
from tidings.messages.delivery.providers import Providers
from tidings.messages.delivery.waiting import waiting
from tidings.messages.kind import Kinds, MessageKind
from tidings.work import Work

log = get_logger(__name__)

PORTION = 250
"""Rows that are woken together."""

CANDIDATES = 20
"""Rows of a kind among which the one is that tries."""

AFTERWARDS = (0.0, 0.3, 1.0, 3.0)
"""Seconds after which the messages of a provider that is back are woken: those that were just being put off are not
all to be seen at first."""

TROUBLE = 2.0
"""Seconds until it goes on after the database or Redis did not answer."""


class Waking:
    """Wakes the messages of all `kinds` that wait for one of the `providers`, as this process's breakers say."""

    def __init__(self, work: Work, kinds: Kinds, providers: Providers) -> None:
        self._work = work
        self._kinds = kinds
        self._providers = providers
        self._back: dict[str, list[float]] = {"": list(AFTERWARDS[:1])}  # whose messages are to be woken, and when
        self._returns: dict[str, int] = {}
        self._missed: dict[str, set[str]] = {}  # jobs by queue that were not delayed yet

    async def run(self) -> None:
        """Wakes until cancelled; begins with what processes that have ended left waiting."""
        while True:
            self._providers.news.clear()
            try:
                pause = await self._look()
            except Exception as error:
                log.warning("messages that wait for a provider were not woken yet", error=str(error))
                pause = TROUBLE
            try:
                async with asyncio.timeout(pause):
                    await self._providers.news.wait()
            except TimeoutError:
                continue

    async def _look(self) -> float | None:
        """Wakes what is to be woken now; seconds until there is more to do, None: only after news."""
        now = self._providers.monotonic()
        for breaker in self._providers.breakers:
            if breaker.returns != self._returns.get(breaker.name, 0):
                self._returns[breaker.name] = breaker.returns
                self._back[breaker.name] = [now + seconds for seconds in AFTERWARDS]
            elif breaker.is_open:
                self._back.pop(breaker.name, None)
        for name, times in [*self._back.items()]:
            if times[0] <= now:
                await self._wake_all(name)
                del times[0]
            if not times:
                del self._back[name]
                self._missed.clear()  # recovery finds what stands too late
        for breaker in self._providers.breakers:
            if breaker.seconds_to_ask() == 0.0:
                await self._wake(breaker.name, 1)
                breaker.asked()
        now = self._providers.monotonic()
        asks = (breaker.seconds_to_ask() for breaker in self._providers.breakers)
        waits = [seconds for seconds in asks if seconds is not None]
        waits += [max(times[0] - now, 0.0) for times in self._back.values()]
        return min(waits, default=None)

    async def _wake_all(self, name: str) -> None:
        """All messages that wait for the breaker of this name, the longest due first; "" means any."""
        for queue, missed in [*self._missed.items()]:
            self._missed[queue] = set()
            await self._hasten(queue, [*missed])
        more = True
        while more:
            more = await self._wake(name, PORTION)

    async def _wake(self, name: str, most: int) -> bool:
        """So many of each kind, at most; whether there may be more."""
        more = False
        for kind in self._kinds.values():
            rows = await self._free(kind, name, most)
            more = more or len(rows) == most
            jobs = [kind.job(row) for row in sorted(rows, key=lambda row: (row.scheduled_time, row.id))]
            for queue in dict.fromkeys(job.queue for job in jobs):
                await self._hasten(queue, [job.id or "" for job in jobs if job.queue == queue])
        return more

    async def _free(self, kind: MessageKind, name: str, most: int) -> Sequence[Any]:
        """Takes the hold from rows that wait, those that were due first."""
        model, now = kind.model, self._work.clock.now()
        waits = waiting(kind, now, name)
        found = select(model.id, model.held_until).where(waits).order_by(model.scheduled_time, model.id)
        async with self._work.read() as session:
            rows = (await session.execute(found.limit(max(most, CANDIDATES)))).all()
        # One after the other: the provider may be away for the first one alone.
        ids = sorted(row.id for row in (sorted(rows, key=lambda row: row.held_until)[:most]))
        if not ids:
            return []
        locked = select(model.id).where(model.id.in_(ids), waits).order_by(model.id).with_for_update(skip_locked=True)
        async with self._work.begin() as unit:
            changed = await unit.session.execute(
                update(model)
                .where(model.id.in_(locked))
                .values(held_until=None, updated_at=now)
                .returning(*model.__table__.c)
            )
            return changed.all()

    async def _hasten(self, queue: str, job_ids: Sequence[str]) -> None:
        try:
            missed = await self._work.queues.hasten(queue, job_ids)
        except QueueUnavailable:
            self._missed.setdefault(queue, set()).update(job_ids)
            raise
        self._missed.setdefault(queue, set()).update(missed)
