"""What is measured beside many messages: each operation several times, with its time and all the CPU that it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks.contestants.tidings import MESSAGE_TYPE, TidingsInstallation
from benchmarks.processes import cpu_of, exact_cpu_of
from benchmarks.stage import Stage

WARM_UP = 10  # messages that pay for what is only loaded or learnt once
CLEARED = 100  # messages of the event that is cleared
LONE = 20  # messages whose delivery is timed
SPACING = 0.1  # seconds between two of them
LISTED = 100  # messages that a page of upcoming ones has
START_TIMEOUT = 600.0  # seconds for a worker to send a message that is due when it starts


@dataclass(slots=True)
class Found:
    """Milliseconds and milliseconds of CPU of one operation, by its name."""

    time: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)


class Operations:
    """One installation that is full of messages. `repeats` is how often the short operations are done."""

    def __init__(self, stage: Stage, installation: TidingsInstallation, *, people: int, repeats: int) -> None:
        self._stage, self._installation = stage, installation
        self._people, self._repeats = people, repeats
        self._events = installation.tidings.events
        self._number = 0
        self.found = Found()

    async def measure(self) -> Found:
        """All of them. Jobs of the messages are there already."""
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        rows: list[Any] = []
        for _ in range(WARM_UP):
            await self._events.cancel_event_message((await self._schedule(tomorrow)).id)
        async with self._measured("schedule one", self._repeats):
            for _ in range(self._repeats):
                rows.append(await self._schedule(tomorrow))
        async with self._measured("cancel one", self._repeats):
            for row in rows:
                await self._events.cancel_event_message(row.id)
        await self._clearing(tomorrow)
        await self._events.get_upcoming_messages(LISTED)
        async with self._measured(f"list {LISTED} upcoming", self._repeats):
            for _ in range(self._repeats):
                await self._events.get_upcoming_messages(LISTED)
        recovery = self._installation.tidings.app.recovery
        await recovery.check()
        async with self._measured("check the jobs that are due soon", self._repeats):
            for _ in range(self._repeats):
                await recovery.check()
        await self._start()
        await self._delivery()
        return self.found

    async def _schedule(self, moment: datetime) -> Any:
        self._number += 1
        return await self._events.schedule_event_message(self._message(self._installation.event_id, moment))

    def _message(self, event_id: int, moment: datetime) -> dict[str, Any]:
        return {
            "event_id": event_id,
            "contractor_id": 1 + self._number % self._people,
            "message_type": MESSAGE_TYPE,
            "session_key": f"own-{self._number}",
            "scheduled_time": moment,
        }

    async def _clearing(self, moment: datetime) -> None:
        times = max(self._repeats // 5, 1)
        events = []
        for _ in range(times):
            event = await self._events.create_event({"name": "Small", "date": moment.date()})
            wanted = []
            for _ in range(CLEARED):
                self._number += 1
                wanted.append(self._message(event.id, moment))
            await self._events.schedule_bulk_event_messages(wanted)
            events.append(event.id)
        async with self._measured(f"clear an event of {CLEARED}", times):
            for event_id in events:
                await self._events.clear_event_messages(event_id)

    async def _start(self) -> None:
        """From the start of `tidings worker` until it has sent a message that was due; its CPU until it is quiet."""
        name = "start a worker"
        await self._stage.sink.clear()
        await self._schedule(datetime.now(UTC))
        servers = self._servers()
        began = time.perf_counter()
        await self._installation.start_worker()
        worker = self._installation.worker
        await self._stage.sink.wait_for(1, within=START_TIMEOUT, sender=worker)
        self.found.time[name] = (time.perf_counter() - began) * 1000
        used = -1.0
        while (now := cpu_of(worker.pid)) - used > 0.02:
            used = now
            await asyncio.sleep(0.5)
        self.found.cpu[name] = (now + self._servers() - servers) * 1000

    async def _delivery(self) -> None:
        """The worker that was started sends a few, each alone."""
        name = "deliver one"
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
        self.found.time[name] = median(late) * 1000
        self.found.cpu[name] = used * 1000 / LONE

    def _servers(self) -> float:
        return exact_cpu_of(self._stage.postgres.pid) + exact_cpu_of(self._stage.redis_pid)

    @asynccontextmanager
    async def _measured(self, name: str, times: int) -> AsyncIterator[None]:
        servers = self._servers()
        began = time.perf_counter(), time.process_time()
        yield
        seconds, used = time.perf_counter() - began[0], time.process_time() - began[1]
        self.found.time[name] = seconds * 1000 / times
        self.found.cpu[name] = (used + self._servers() - servers) * 1000 / times
