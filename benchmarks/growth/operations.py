"""What is measured beside many messages: each operation with its time and all the CPU that it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks.contestants.tidings import MESSAGE_TYPE, TidingsInstallation
from benchmarks.processes import cpu_of, exact_cpu_of
from benchmarks.stage import Stage

REPEATS = 10  # how often a turn does a short operation
CLEARED = 100  # messages of an event that is cleared
LISTED = 100  # messages that a page of upcoming ones has
LONE = 20  # messages whose delivery is timed
SPACING = 0.1  # seconds between two of them
START_TIMEOUT = 600.0  # seconds for a worker to send a message that is due when it starts


@dataclass(slots=True)
class Cost:
    """Milliseconds of one operation, and milliseconds of CPU of the program, PostgreSQL and Redis together."""

    time: float = 0.0
    cpu: float = 0.0


class Full:
    """One installation that is full of messages, whose jobs are there. `people` is how many it has."""

    def __init__(self, stage: Stage, installation: TidingsInstallation, people: int) -> None:
        self._stage, self._installation, self._people = stage, installation, people
        self._events = installation.tidings.events
        self._recovery = installation.tidings.app.recovery
        self._number = 0
        self._scheduled: list[Any] = []
        self._tomorrow = datetime.now(UTC) + timedelta(days=1)

    async def schedule_one(self) -> Cost:
        async with self._measured(REPEATS) as cost:
            for _ in range(REPEATS):
                self._scheduled.append(await self._schedule(self._tomorrow))
        return cost

    async def cancel_one(self) -> Cost:
        """Those that were scheduled last."""
        async with self._measured(REPEATS) as cost:
            for _ in range(REPEATS):
                await self._events.cancel_event_message(self._scheduled.pop().id)
        return cost

    async def clear_event(self) -> Cost:
        event = await self._events.create_event({"name": "Small", "date": self._tomorrow.date()})
        messages = [self._message(event.id, self._tomorrow) for _ in range(CLEARED)]
        await self._events.schedule_bulk_event_messages(messages)
        async with self._measured(1) as cost:
            await self._events.clear_event_messages(event.id)
        return cost

    async def list_upcoming(self) -> Cost:
        async with self._measured(REPEATS) as cost:
            for _ in range(REPEATS):
                await self._events.get_upcoming_messages(LISTED)
        return cost

    async def check_jobs(self) -> Cost:
        async with self._measured(REPEATS) as cost:
            for _ in range(REPEATS):
                await self._recovery.check()
        return cost

    async def start_worker(self) -> Cost:
        """Until it has sent a message that is due already; CPU until it is quiet. The one before is ended."""
        await self.end_worker()
        await self._stage.sink.clear()
        await self._schedule(datetime.now(UTC))
        servers = self._servers()
        began = time.perf_counter()
        await self._installation.start_worker()
        worker = self._installation.worker
        await self._stage.sink.wait_for(1, within=START_TIMEOUT, sender=worker)
        seconds, used = time.perf_counter() - began, -1.0
        while (now := cpu_of(worker.pid)) - used > 0.02:
            used = now
            await asyncio.sleep(0.5)
        return Cost(seconds * 1000, (now + self._servers() - servers) * 1000)

    async def deliver_one(self) -> Cost:
        """From its moment to its arrival, by the worker that was started last, which ends then."""
        await self._stage.sink.clear()
        first = time.time() + 2
        moments = [round(first + number * SPACING, 3) for number in range(LONE)]
        rows = [await self._schedule(datetime.fromtimestamp(moment, UTC)) for moment in moments]
        await asyncio.sleep(first - time.time() - SPACING)
        worker = self._installation.worker
        before = self._servers() + exact_cpu_of(worker.pid)
        await asyncio.sleep(moments[-1] - time.time() + SPACING)
        used = self._servers() + exact_cpu_of(worker.pid) - before
        await self._stage.sink.wait_for(LONE, within=30, sender=worker)
        arrivals = dict(await self._stage.sink.arrivals())
        late = [arrivals[str(row.id)] - moment for row, moment in zip(rows, moments, strict=True)]
        await self.end_worker()
        return Cost(median(late) * 1000, used * 1000 / LONE)

    async def end_worker(self) -> None:
        """The one that runs, if one does."""
        await self._installation.worker.end()

    async def _schedule(self, moment: datetime) -> Any:
        return await self._events.schedule_event_message(self._message(self._installation.event_id, moment))

    def _message(self, event_id: int, moment: datetime) -> dict[str, Any]:
        self._number += 1
        return {
            "event_id": event_id,
            "contractor_id": 1 + self._number % self._people,
            "message_type": MESSAGE_TYPE,
            "session_key": f"own-{self._number}",
            "scheduled_time": moment,
        }

    def _servers(self) -> float:
        return exact_cpu_of(self._stage.postgres.pid) + exact_cpu_of(self._stage.redis_pid)

    @asynccontextmanager
    async def _measured(self, times: int) -> AsyncIterator[Cost]:
        cost = Cost()
        servers = self._servers()
        began = time.perf_counter(), time.process_time()
        yield cost
        seconds, used = time.perf_counter() - began[0], time.process_time() - began[1]
        cost.time, cost.cpu = seconds * 1000 / times, (used + self._servers() - servers) * 1000 / times


OPERATIONS: dict[str, Callable[[Full], Awaitable[Cost]]] = {
    "schedule one": Full.schedule_one,
    "cancel one": Full.cancel_one,
    f"clear an event of {CLEARED}": Full.clear_event,
    f"list {LISTED} upcoming": Full.list_upcoming,
    "check the jobs that are due soon": Full.check_jobs,
    "start a worker": Full.start_worker,
    "deliver one": Full.deliver_one,
}
"""In the order in which a turn does them: some go on with what the one before has left."""
