"""A queue of `bullmq`, workers of ours on it, and a record of what they did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from inspect import signature
from typing import Any, Self

import bullmq
import pytest

from support.batches import one_by_one
from support.workshop import Stalls, eventually
from tidings.engine import Batch, Worker
from tidings.engine.redis import connect

Process = Callable[..., Any]  # what bullmq calls a processor: (job, token[, signal]) -> an awaitable result
EVENTS = (
    *("active", "completed", "failed", "stalled", "error", "drained", "closing", "closed"),
    *("paused", "resumed", "lockRenewalFailed", "locksRenewed"),
)
PROMPT = 0.1  # seconds for what nobody should notice: closing or pausing an idle worker


@dataclass(frozen=True)
class Start:
    """One call of a worker's processor; `at` is in seconds since the epoch, the attempts are as they were then."""

    at: float
    job: Any
    token: str
    worker: Worker
    attempts_made: int
    attempts_started: int


@dataclass(frozen=True)
class Told:
    """One event that a worker emitted."""

    event: str
    arguments: tuple[Any, ...]
    worker: Worker

    @property
    def job_id(self) -> str:
        """Of the job that the event is about."""
        job_id: str = self.arguments[0].id
        return job_id


class Rig:
    """One queue and its workers, which end with the test; an `error` event that no test has asked for fails it."""

    def __init__(self, url: str, prefix: str, *, name: str = "orders", batch: int | None = None) -> None:
        self.url, self.prefix, self.name, self.batch = url, prefix, name, batch
        self.redis: Any = connect(url)
        self.queue = bullmq.Queue(name, {"connection": self.redis, "prefix": prefix})
        self.starts: list[Start] = []
        self.batches: list[list[str]] = []  # the ids of each, for workers that get batches
        self.told: list[Told] = []
        self.runs: dict[Worker, asyncio.Task[None]] = {}
        self.errors_expected = False
        self._stalls = Stalls(url)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self._stalls)
        self._stack.push_async_callback(self.redis.aclose)
        return self

    async def __aexit__(self, failure: type[BaseException] | None, *_: object) -> None:
        errors = [told.arguments[0] for told in self.events("error")]
        await asyncio.wait_for(self._stack.aclose(), 20)
        if failure is None:
            assert self.errors_expected or not errors, errors
            assert [run.exception() for run in self.runs.values()] == [None] * len(self.runs)

    def key(self, name: str) -> str:
        return f"{self.prefix}:{self.name}:{name}"

    async def add(self, *ids: str, **options: Any) -> float:
        """Adds jobs of these ids in one step, with BullMQ's options. Returns when that was asked for."""
        asked = time.time()
        await self.queue.addBulk([{"name": "order", "data": {}, "opts": {"jobId": one, **options}} for one in ids])
        return asked

    def worker(self, process: Process | None = None, **options: Any) -> Worker:
        """Starts a worker with BullMQ's options."""
        takes_signal = process is not None and len(signature(process).parameters) == 3

        async def note(job: Any, token: str) -> Any:
            self._note(worker, job, token)
            return await process(job, token) if process else job.id

        async def note_with_signal(job: Any, token: str, signal: Any) -> Any:
            self._note(worker, job, token)
            assert process is not None
            return await process(job, token, signal)

        processor: Any = note
        if self.batch and takes_signal:
            pytest.skip("a batch has no signal")
        elif self.batch:
            options["batch"], processor = self.batch, one_by_one(note)
        elif takes_signal:
            processor = note_with_signal
        worker = self._start(processor, options)
        return worker

    def batch_worker(self, process: Callable[[Batch], Awaitable[Any]] | None = None, **options: Any) -> Worker:
        """Starts a worker with BullMQ's options and batches. Without a processor these end when they begin."""

        async def note_many(batch: Batch) -> Any:
            self.batches.append([job.id for job in batch])
            for job in batch:
                self._note(worker, job, job.token)
            return await process(batch) if process else None

        worker = self._start(note_many, {"batch": self.batch, "concurrency": 50, **options})
        return worker

    async def idle_worker(self, process: Process | None = None, **options: Any) -> Worker:
        """Starts a worker and waits until it has nothing to do but wait."""
        present = {client["id"] for client in await self._clients()}  # one that has closed may count for a while
        worker = self.worker(process, **options)

        async def one_more() -> bool:
            return any(client["id"] not in present for client in await self._clients(cmd="bzpopmin"))

        await eventually(one_more)
        return worker

    async def idle_workers(self) -> int:
        """How many workers of this queue wait in Redis for its marker."""
        return len(await self._clients(cmd="bzpopmin"))

    async def _clients(self, **alike: str) -> list[dict[str, str]]:
        """The connections of this queue that Redis knows, which are like that."""
        name = self.queue.backend.clientName()
        clients: list[dict[str, str]] = await self.redis.client_list()
        return [one for one in clients if one["name"].startswith(name) and alike.items() <= one.items()]

    async def started(self, count: int, *, within: float = 10.0) -> list[Start]:
        """The starts so far, once there are `count`."""

        async def enough() -> bool:
            return len(self.starts) >= count

        await eventually(enough, within=within)
        return list(self.starts)

    async def happened(self, event: str, count: int = 1, *, within: float = 10.0) -> list[Told]:
        """The events of that name, once there are `count`."""

        async def enough() -> bool:
            return len(self.events(event)) >= count

        await eventually(enough, within=within)
        return self.events(event)

    async def idle(self) -> None:
        """Waits until no job is running, waiting or delayed."""

        async def is_idle() -> bool:
            return not sum((await self.counts("active", "waiting", "prioritized", "delayed")).values())

        await eventually(is_idle)

    async def counts(self, *states: str) -> dict[str, int]:
        """How many jobs are in each state."""
        counts: dict[str, int] = await self.queue.getJobCounts(*states)
        return counts

    async def waiting(self) -> list[str]:
        """The ids of the jobs that could start now, in the order in which they would."""
        waiting: list[str] = await self.redis.lrange(self.key("wait"), 0, -1)
        return [*reversed(waiting), *await self.redis.zrange(self.key("prioritized"), 0, -1)]

    async def job(self, job_id: str) -> Any:
        """The job as Redis knows it."""
        return await bullmq.Job.fromId(self.queue, job_id)

    async def abandon(self, count: int = 1, *, noticed: bool = True) -> list[str]:
        """Takes jobs as a worker that then dies: they are active, and nobody holds their locks. Returns their ids.

        A check for stalled jobs only notes what is active; the next one finds what has no lock by then. `noticed`
        means that the first has been.
        """
        ids = []
        for _ in range(count):
            _, job_id, *_ = await self.queue.backend.moveToActive("of-a-dead-worker", {"lockDuration": 60_000})
            await self.redis.delete(self.key(f"{job_id}:lock"))
            ids.append(job_id)
        if noticed:
            await self.redis.sadd(self.key("stalled"), *ids)
        return ids

    def ids(self) -> list[str]:
        """The ids of the started jobs, in order."""
        return [start.job.id for start in self.starts]

    def events(self, *names: str) -> list[Told]:
        """What the workers have told, of these events."""
        return [told for told in self.told if told.event in names]

    def late(self, at: float, due: float) -> float:
        """How many seconds something was late, standstills of the machine aside; negative when it was early."""
        return at - due if at < due else max(at - due - self._stalls.between(due, at), 0.0)

    def _start(self, processor: Any, options: dict[str, Any]) -> Worker:
        settings = {"connection": self.url, "prefix": self.prefix, "autorun": False, **options}
        worker = Worker(self.name, processor, settings)
        for event in EVENTS:
            self._listen(worker, event)
        self.runs[worker] = asyncio.ensure_future(worker.run())
        self._stack.push_async_callback(self._end, worker)
        return worker

    def _note(self, worker: Worker, job: Any, token: str) -> None:
        self.starts.append(Start(time.time(), job, token, worker, job.attemptsMade, job.attemptsStarted))

    def _listen(self, worker: Worker, event: str) -> None:
        worker.on(event, lambda *arguments: self.told.append(Told(event, arguments, worker)))

    async def _end(self, worker: Worker) -> None:
        await worker.close(force=True)
        if worker in self.runs:
            await asyncio.wait({self.runs[worker]})
