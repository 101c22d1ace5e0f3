"""Queues and workers on a real Redis, and a record of what ran when."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import bullmq
import redis
from pydantic import BaseModel

from tidings.clock import Clock, SystemClock
from tidings.engine.host import OnDeadLetter, WorkerHost
from tidings.engine.jobs import AnyHandler, Handler, JobType, Run
from tidings.engine.policy import QueuePolicy
from tidings.engine.queues import Queues
from tidings.engine.redis import connect

Fact = TypeVar("Fact")
Handle = Callable[["Order", Run], Awaitable[object]]
PUNCTUAL = 0.05  # seconds that a job may start after its time


class Order(BaseModel):
    """What a job of these tests is about."""

    number: int = 0


class Stalls:
    """Notes when the machine kept this process or Redis from running, which no worker can help."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stalls: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def between(self, start: float, end: float) -> float:
        """Seconds of standstill between two moments."""
        return sum(max(min(end, until) - max(start, since), 0.0) for since, until in self._stalls)

    def _watch(self) -> None:
        with redis.Redis.from_url(self._url) as server:
            last = time.time()
            while not self._over.wait(0.003):
                with suppress(redis.ConnectionError):
                    server.ping()
                now = time.time()
                if now - last > 0.01:  # a busy thread of this process makes way after 5 ms
                    self._stalls.append((last + 0.003, now))
                last = now


@dataclass(frozen=True)
class Ran:
    """One execution of a job; `at` is when its handler started, in seconds since the epoch."""

    at: float
    number: int
    run: Run


class Workshop:
    """One queue (of the given policy), its workers, and every run of their handlers.

    `direct` is the server's own address, where `url` leads to it through a proxy of this process.
    """

    def __init__(
        self, url: str, prefix: str, policy: QueuePolicy, *, clock: Clock | None = None, direct: str | None = None
    ) -> None:
        self.url, self.prefix, self.policy = url, prefix, policy
        self.orders = JobType(policy, "order", Order, lambda order: f"order-{order.number}")
        self.redis = connect(url)
        self.clock = clock or SystemClock()
        self.queues = Queues([policy], self.redis, prefix=prefix, clock=self.clock)
        self.bullmq = bullmq.Queue(policy.name, {"connection": self.redis, "prefix": prefix})
        self.ran: list[Ran] = []
        self._stalls = Stalls(direct or url)
        self._something_ran = asyncio.Condition()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self._stalls)
        self._stack.push_async_callback(self.redis.aclose)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes workers and connections; harmless when done twice."""
        await self._stack.aclose()

    def key(self, name: str) -> str:
        return f"{self.prefix}:{self.policy.name}:{name}"

    async def arm(self, *numbers: int, after: float | None = None, priority: int = 0) -> float:
        """Arms orders for `after` seconds from now, or at once. Returns when they are due, as `Ran.at`."""
        due = self.clock.after(after) if after is not None else None
        await self.queues.arm([self.orders.job(Order(number=n), due=due, priority=priority) for n in numbers])
        return due.timestamp() if due else time.time()

    def start(self, handle: Handle | None = None, *, lock_duration: float = 30.0) -> WorkerHost:
        """Starts a worker that is closed at the test's end."""

        async def handle_and_note(order: Order, run: Run) -> object:
            self.ran.append(Ran(time.time(), order.number, run))
            async with self._something_ran:
                self._something_ran.notify_all()
            return await handle(order, run) if handle else order.number

        return self.start_host([Handler(self.orders, handle_and_note)], lock_duration=lock_duration)

    def start_host(
        self,
        handlers: Sequence[AnyHandler],
        *,
        lock_duration: float = 30.0,
        on_dead_letter: OnDeadLetter | None = None,
    ) -> WorkerHost:
        """Starts a worker with these handlers, which note nothing; it is closed at the test's end."""
        host = WorkerHost(
            self.queues,
            lambda: connect(self.url),
            prefix=self.prefix,
            lock_duration=lock_duration,
            on_dead_letter=on_dead_letter,
        )
        self._stack.push_async_callback(host.close, 0.1)
        host.start(self.policy, handlers)
        return host

    async def work(self, handle: Handle | None = None, *, lock_duration: float = 30.0) -> WorkerHost:
        """Starts a worker and waits until Redis knows it."""
        present = await self._workers()
        host = self.start(handle, lock_duration=lock_duration)

        async def is_here() -> bool:  # not by their number: one that was killed may count for a while
            return bool(await self._workers() - present)

        await eventually(is_here)
        return host

    async def runs(self, count: int, *, within: float = 10.0) -> list[Ran]:
        """The runs so far, once there are `count`."""
        async with asyncio.timeout(within), self._something_ran:
            await self._something_ran.wait_for(lambda: len(self.ran) >= count)
        return list(self.ran)

    def late(self, at: float, due: float) -> float:
        """How many seconds a start was late, standstills of the machine aside; negative when it was early."""
        return at - due if at < due else max(at - due - self._stalls.between(due, at), 0.0)

    async def finished(self, count: int, *, within: float = 10.0) -> None:
        """Waits until so many jobs have completed or failed."""

        async def enough() -> bool:
            stats = await self.queues.stats(self.policy.name)
            return stats.completed + stats.failed >= count

        await eventually(enough, within=within)

    async def _workers(self) -> set[str]:
        """The names of the workers that Redis knows; each has its own."""
        clients: Any = await self.redis.client_list()
        return {client["name"] for client in clients if client["name"].startswith(self.key("w:"))}

    async def idle_workers(self) -> int:
        """How many workers of the queue wait for its marker."""
        clients: Any = await self.redis.client_list()
        return sum(
            client["name"].startswith(f"{self.prefix}:{self.policy.name}") and client["cmd"] == "bzpopmin"
            for client in clients
        )


async def eventually(fact: Callable[[], Awaitable[Fact]], *, within: float = 10.0) -> Fact:
    """The first answer of `fact` that is true in a condition."""
    async with asyncio.timeout(within):
        while True:
            if answer := await fact():
                return answer
            await asyncio.sleep(0.005)
