"""Whether messages can leave, for whoever watches: what answers in time, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from tidings.db.database import Database
from tidings.engine.queues import Queues
from tidings.errors import QueueUnavailable
from tidings.messages.delivery.breaker import Resting
from tidings.messages.delivery.recovery import Recovery
from tidings.messages.delivery.waiting import together
from tidings.web.health import QueueCounts, QueueHealth, QueueMetrics, RestingProvider, WorkerHealth, WorkersHealth

ANSWER = 2.0
"""Seconds within which whatever messages need has to answer, for a process to be healthy."""

SILENT = 300.0
"""Seconds after which a recovery that did not look is taken for broken."""

Answer = TypeVar("Answer")


class HealthCheck:
    """Looks at what messages need. `works` says whether this process has workers, and so recovers; `clocks` says by
    how many seconds each clock is wrong."""

    def __init__(
        self,
        database: Database,
        queues: Queues,
        recovery: Recovery,
        *,
        works: Callable[[], bool],
        clocks: Callable[[], Mapping[str, float]],
        resting: Callable[[], Sequence[Resting]],
        waiting: Callable[[], Coroutine[Any, Any, Sequence[Resting]]],
    ) -> None:
        self._database = database
        self._queues = queues
        self._recovery = recovery
        self._works = works
        self._clocks = clocks
        self._resting = resting
        self._waiting = waiting

    async def look(self) -> QueueHealth:
        """What answers within ANSWER seconds: the database, Redis, and which queues have a worker, in this process or
        another. Takes no longer, whatever hangs."""
        database, redis, workers = await asyncio.gather(
            _within(ANSWER, self._database.answers()),
            _within(ANSWER, self._queues.ping()),
            _within(ANSWER, self._running_workers()),
        )
        found = [WorkerHealth(name=name, is_running=is_running) for name, is_running in (workers or {}).items()]
        return QueueHealth(
            redis=bool(redis) and workers is not None,
            database=bool(database),
            recovery=not self._works() or self._recovery.looked_within(SILENT),
            workers=WorkersHealth(worker_count=len(self._queues.policies), workers=found),
        )

    def resting(self) -> list[RestingProvider]:
        """The providers that this process leaves alone."""
        return [_told(one) for one in self._resting()]

    async def measure(self) -> QueueMetrics:
        """The same, the counts of every queue, how far clocks are apart, and which providers are away.

        Raises QueueUnavailable.
        """
        health = await self.look()
        waiting = await _within(ANSWER, self._waiting()) if health.database else None
        counts = {name: QueueCounts(**(await self._queues.stats(name)).as_dict()) for name in self._queues.policies}
        return QueueMetrics(
            redis=health.redis,
            database=health.database,
            recovery=health.recovery,
            workers=health.workers,
            queues=counts,
            resting=[_told(one) for one in together(self._resting(), waiting or ())],
            clocks=dict(self._clocks()),
        )

    async def _running_workers(self) -> dict[str, bool] | None:
        try:
            return {name: await self._queues.count_workers(name) > 0 for name in self._queues.policies}
        except QueueUnavailable:
            return None


def _told(resting: Resting) -> RestingProvider:
    return RestingProvider(
        provider=resting.name,
        since=resting.since,
        why=resting.why,
        tried_again=resting.until,
        waiting=resting.waiting,
    )


async def _within(seconds: float, asking: Coroutine[Any, Any, Answer]) -> Answer | None:
    """An answer, if there is one in time. What takes longer is called off, and not waited for."""
    task = asyncio.create_task(asking)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        return None
    return task.result()
