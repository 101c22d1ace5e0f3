"""What a worker promises about how many jobs run at once, alone and together with others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bullmq.custom_errors import DelayedError, UnrecoverableError

from engine.worker.rig import Rig
from support.workshop import PUNCTUAL, eventually
from tidings.engine import RateLimitError, Worker

pytestmark = pytest.mark.timing


class Counting:
    """A processor that counts how many jobs run side by side, and asks Redis the same."""

    def __init__(self, rig: Rig, seconds: float = 0.01) -> None:
        self._rig, self._seconds = rig, seconds
        self.running = self.most = self.most_held = 0

    async def __call__(self, job: Any, token: str) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.most_held = max(self.most_held, await self._rig.redis.llen(self._rig.key("active")))
        await asyncio.sleep(self._seconds)
        self.running -= 1


async def test_all_slots_are_used_and_no_job_is_held_without_one(rig: Rig) -> None:
    count = Counting(rig)
    await rig.add(*(f"job-{number}" for number in range(60)))
    rig.worker(count, concurrency=7)
    await rig.happened("completed", 60)
    assert (count.most, count.most_held) == (7, 7)


async def test_jobs_that_come_one_by_one_fill_the_slots_too(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    await rig.idle_worker(wait, concurrency=5)
    for number in range(8):
        await rig.add(f"job-{number}")
    await rig.started(5)
    assert await rig.waiting() == ["job-5", "job-6", "job-7"]
    hold.set()
    await rig.happened("completed", 8)


async def test_one_slot_works_in_the_order_in_which_jobs_were_added(rig: Rig) -> None:
    count = Counting(rig, 0.001)
    ids = [f"job-{number}" for number in range(50)]
    await rig.add(*ids)
    rig.worker(count)
    await rig.happened("completed", 50)
    assert rig.ids() == ids
    assert count.most == 1


async def test_two_workers_share_a_burst_and_do_no_job_twice(rig: Rig) -> None:
    ids = [f"job-{number}" for number in range(300)]
    first, second = await rig.idle_worker(concurrency=5), await rig.idle_worker(concurrency=5)
    await rig.add(*ids)
    await rig.happened("completed", 300)
    assert sorted(rig.ids()) == sorted(ids)
    assert {start.worker for start in rig.starts} == {first, second}


async def test_more_slots_are_used_as_soon_as_there_are_more(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    worker = rig.worker(wait)
    await rig.add(*"abcdef")
    await rig.started(1)
    assert worker.concurrency == 1
    changed = time.time()
    worker.concurrency = 4
    assert rig.late((await rig.started(4))[3].at, changed) < PUNCTUAL
    assert await rig.waiting() == [*"ef"]
    hold.set()
    await rig.happened("completed", 6)


async def test_with_fewer_slots_running_jobs_end_and_no_more_start_than_there_are(rig: Rig) -> None:
    may_end, running = asyncio.Semaphore(0), set()
    together: list[int] = []

    async def wait(job: Any, token: str) -> None:
        running.add(job.id)
        together.append(len(running))
        await may_end.acquire()
        running.discard(job.id)

    worker = rig.worker(wait, concurrency=4)
    await rig.add(*(f"job-{number}" for number in range(10)))
    await rig.started(4)
    worker.concurrency = 2
    for ended in range(1, 11):
        may_end.release()
        await rig.happened("completed", ended)
        await rig.started(min(10, max(4, ended + 2)))
    assert together == [1, 2, 3, 4, *[2] * 6]


@pytest.mark.parametrize("concurrency", [0, -1, float("nan"), float("inf"), "2", None])
async def test_a_concurrency_that_makes_no_sense_is_refused(rig: Rig, concurrency: Any) -> None:
    worker = rig.worker()
    with pytest.raises(ValueError, match="concurrency"):
        worker.concurrency = concurrency
    assert worker.concurrency == 1


async def test_a_global_concurrency_is_never_exceeded_and_leaves_no_gaps(rig: Rig) -> None:
    await rig.queue.setGlobalConcurrency(3)
    count = Counting(rig, 0.005)
    await rig.add(*(f"job-{number}" for number in range(60)))
    began = time.time()
    for _ in range(3):
        rig.worker(count, concurrency=4)
    await rig.happened("completed", 60)
    assert (count.most, count.most_held) == (3, 3)
    assert rig.late(time.time(), began) < 1.5, "no worker waited for its marker to come round"


async def done(rig: Rig, job: Any, token: str) -> None:
    """Ends well."""


async def failed(rig: Rig, job: Any, token: str) -> None:
    """Fails for good."""
    raise UnrecoverableError("no")


async def failed_for_now(rig: Rig, job: Any, token: str) -> None:
    """Fails, to be tried again in a day."""
    raise ValueError("not today")


async def postponed(rig: Rig, job: Any, token: str) -> None:
    """Moves to tomorrow."""
    await job.moveToDelayed(round(time.time() * 1000) + 86_400_000, token)
    raise DelayedError


@pytest.mark.parametrize("end", [done, failed, failed_for_now, postponed])
async def test_a_globally_freed_slot_is_used_at_once_however_its_job_ended(
    rig: Rig, end: Callable[[Rig, Any, str], Awaitable[None]]
) -> None:
    await rig.queue.setGlobalConcurrency(1)
    hold, freed = asyncio.Event(), []

    async def end_first(job: Any, token: str) -> None:
        if job.id == "first":
            await hold.wait()
            freed.append(time.time())
            await end(rig, job, token)

    rig.worker(end_first)
    rig.worker(end_first)
    await rig.add("first", attempts=2, backoff=86_400_000)
    await rig.started(1)
    await rig.add("second")
    hold.set()
    second = (await rig.started(2))[1]
    assert second.job.id == "second"
    assert rig.late(second.at, freed[0]) < PUNCTUAL


async def test_a_slot_freed_by_a_worker_that_closes_goes_to_another_at_once(rig: Rig) -> None:
    await rig.queue.setGlobalConcurrency(1)
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    leaves = rig.worker(wait)
    await rig.add("first", "second")
    await rig.started(1)
    await rig.idle_worker(wait)
    closing = asyncio.ensure_future(leaves.close())
    await asyncio.wait({closing}, timeout=0.02)
    freed = time.time()
    hold.set()
    second = (await rig.started(2))[1]
    assert second.worker is not leaves
    assert rig.late(second.at, freed) < PUNCTUAL
    await closing


async def test_a_slot_freed_by_a_worker_that_is_paused_goes_to_another_at_once(rig: Rig) -> None:
    await rig.queue.setGlobalConcurrency(1)
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    leaves = rig.worker(wait)
    await rig.add("first", "second")
    await rig.started(1)
    await rig.idle_worker(wait)
    await leaves.pause(True)
    await eventually(rig.idle_workers)
    freed = time.time()
    hold.set()
    second = (await rig.started(2))[1]
    assert second.worker is not leaves
    assert rig.late(second.at, freed) < PUNCTUAL


async def test_a_slot_that_a_worker_may_no_longer_use_goes_to_another_at_once(rig: Rig) -> None:
    await rig.queue.setGlobalConcurrency(2)
    may_end = asyncio.Semaphore(0)

    async def wait(job: Any, token: str) -> None:
        await may_end.acquire()

    leaves = rig.worker(wait, concurrency=2)
    await rig.add(*"abc")
    await rig.started(2)
    await rig.idle_worker(wait)
    leaves.concurrency = 1
    freed = time.time()
    may_end.release()
    third = (await rig.started(3))[2]
    assert third.worker is not leaves
    assert rig.late(third.at, freed) < PUNCTUAL


async def test_a_job_that_meets_a_limit_frees_its_global_slot(rig: Rig) -> None:
    async def meet_a_limit(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            await rig.queue.rateLimit(100)
            raise RateLimitError

    await rig.queue.setGlobalConcurrency(1)
    await rig.add(*"ab")
    rig.worker(meet_a_limit, limiter={"max": 10, "duration": 100})
    rig.worker(meet_a_limit, limiter={"max": 10, "duration": 100})
    starts = await rig.started(3)
    assert rig.ids() == [*"aab"]
    assert rig.late(starts[1].at, starts[0].at + 0.1) < PUNCTUAL


async def test_a_global_concurrency_that_is_raised_is_used_within_two_seconds(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    await rig.queue.setGlobalConcurrency(1)
    rig.worker(wait)
    rig.worker(wait)
    await rig.add(*"ab")
    await rig.started(1)
    await rig.queue.removeGlobalConcurrency()
    raised = time.time()
    assert rig.late((await rig.started(2))[1].at, raised) < 2 + PUNCTUAL
    hold.set()
    await rig.happened("completed", 2)


async def test_a_global_slot_of_a_job_that_was_removed_is_used_again(rig: Rig) -> None:
    await rig.queue.setGlobalConcurrency(1)
    await rig.add(*"ab")
    await rig.abandon()
    rig.worker(skipStalledCheck=True)
    await eventually(rig.idle_workers)
    removed = time.time()
    await (await rig.job("a")).remove()
    assert rig.late((await rig.started(1))[0].at, removed) < 2 + PUNCTUAL
    assert rig.ids() == ["b"]


def test_a_worker_that_may_do_nothing_is_refused(rig: Rig) -> None:
    async def process(job: Any, token: str) -> None: ...

    with pytest.raises(ValueError, match="concurrency"):
        Worker("orders", process, {"connection": rig.url, "autorun": False, "concurrency": 0})


async def test_a_worker_runs_once_at_a_time(rig: Rig) -> None:
    worker = await rig.idle_worker()
    with pytest.raises(RuntimeError, match="already running"):
        await worker.run()
    await rig.add("a")
    await rig.happened("completed")


@pytest.mark.parametrize("form", ["url", "options", "client"])
async def test_a_worker_starts_by_itself_on_whatever_connection_bullmq_takes(rig: Rig, form: str) -> None:
    async def process(job: Any, token: str) -> str:
        return "done"

    options = rig.redis.connection_pool.connection_kwargs
    connection = {"url": rig.url, "options": {"host": options["host"], "port": options["port"]}, "client": rig.redis}
    worker = Worker(rig.name, process, {"connection": connection[form], "prefix": rig.prefix})
    try:
        await rig.add("a")

        async def is_done() -> bool:
            return bool((await rig.job("a")).returnvalue == "done")

        await eventually(is_done)
    finally:
        await worker.close()
    assert await rig.redis.ping(), "a client that others use too still works"
