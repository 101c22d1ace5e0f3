"""What a worker promises about pauses: its own, and those of its queue."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from engine.worker.rig import PROMPT, Rig
from support.workshop import PUNCTUAL, eventually

pytestmark = pytest.mark.timing


async def test_pausing_a_worker_waits_for_its_running_jobs(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    worker = rig.worker(wait, concurrency=2)
    await rig.add(*"abcd")
    await rig.started(2)
    pausing = asyncio.ensure_future(worker.pause())
    done, _ = await asyncio.wait({pausing}, timeout=0.05)
    assert not done
    hold.set()
    await asyncio.wait_for(pausing, 5)
    assert sorted(told.job_id for told in rig.events("completed")) == [*"ab"]
    assert await rig.waiting() == [*"cd"]
    assert (await rig.counts("active"))["active"] == 0
    worker.resume()
    await rig.happened("completed", 4)


async def test_pausing_a_worker_need_not_wait_for_its_running_jobs(rig: Rig) -> None:
    hold, running = asyncio.Event(), []

    async def wait(job: Any, token: str) -> None:
        running.append(job.id)
        assert len(running) <= 2
        await hold.wait()
        running.remove(job.id)

    worker = rig.worker(wait, concurrency=2)
    await rig.add(*"abcd")
    await rig.started(2)
    asked = time.time()
    await worker.pause(True)
    assert rig.late(time.time(), asked) < PROMPT
    worker.resume()
    hold.set()
    await rig.happened("completed", 4)
    assert rig.ids() == [*"abcd"]


async def test_a_paused_worker_does_not_fetch_the_next_job_when_one_ends(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    worker = rig.worker(wait)
    await rig.add(*"ab")
    await rig.started(1)
    await worker.pause(True)
    hold.set()
    await rig.happened("completed")
    assert (await rig.waiting(), (await rig.counts("active"))["active"]) == (["b"], 0)
    resumed = time.time()
    worker.resume()
    assert 0 <= rig.late((await rig.started(2))[1].at, resumed) < PUNCTUAL


async def test_an_idle_worker_pauses_and_resumes_at_once(rig: Rig) -> None:
    worker = await rig.idle_worker()
    for number in range(5):
        asked = time.time()
        await worker.pause()
        assert rig.late(time.time(), asked) < PROMPT
        await rig.add(f"job-{number}")
        resumed = time.time()
        worker.resume()
        assert 0 <= rig.late((await rig.started(number + 1))[-1].at, resumed) < PUNCTUAL


async def test_a_worker_paused_at_any_moment_gives_back_what_it_had_not_started(rig: Rig) -> None:
    ids = [f"job-{number}" for number in range(12)]
    worker = rig.worker(concurrency=5)
    for turns in range(0, 40, 2):
        await rig.add(*ids)
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(worker.pause(), 5)
        assert [*rig.ids(), *await rig.waiting()] == ids, turns
        assert (await rig.counts("active"))["active"] == 0
        worker.resume()
        await rig.idle()
        assert rig.ids() == ids
        await rig.queue.obliterate(True)
        rig.starts.clear()


async def test_a_job_may_pause_its_own_worker(rig: Rig) -> None:
    async def pause(job: Any, token: str) -> None:
        await worker.pause(True)

    worker = rig.worker(pause)
    await rig.add(*"ab")
    await rig.happened("completed")
    assert await rig.waiting() == ["b"]
    worker.resume()
    await rig.happened("completed", 2)


async def test_a_paused_worker_that_closes_waits_for_its_running_jobs(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    worker = rig.worker(wait)
    await rig.add(*"ab")
    await rig.started(1)
    await worker.pause(True)
    closing = asyncio.ensure_future(worker.close())
    done, _ = await asyncio.wait({closing}, timeout=0.02)
    assert not done
    hold.set()
    await asyncio.wait_for(closing, 5)
    assert [told.job_id for told in rig.events("completed")] == ["a"]
    assert await rig.waiting() == ["b"]


async def test_pausing_or_resuming_twice_does_no_harm(rig: Rig) -> None:
    worker = await rig.idle_worker()
    worker.resume()
    await worker.pause()
    await worker.pause()
    worker.resume()
    worker.resume()
    await rig.add("a")
    await rig.happened("completed")
    assert len(rig.events("resumed")) == 1


async def test_a_paused_worker_leaves_the_work_to_the_others(rig: Rig) -> None:
    paused, other = await rig.idle_worker(), await rig.idle_worker()
    await paused.pause()
    for number in range(10):
        added = await rig.add(f"job-{number}")
        start = (await rig.started(number + 1))[-1]
        assert start.worker is other
        assert rig.late(start.at, added) < PUNCTUAL


async def test_a_worker_paused_while_it_waits_for_a_time_leaves_that_to_the_others(rig: Rig) -> None:
    workers = [await rig.idle_worker(), await rig.idle_worker()]
    for number, (leaves, stays) in enumerate([workers, reversed(workers)]):
        added = await rig.add(f"job-{number}", delay=150)
        await leaves.pause()
        start = (await rig.started(number + 1))[-1]
        assert start.worker is stays
        assert 0 <= rig.late(start.at, added + 0.15 - 0.001) < PUNCTUAL
        leaves.resume()


async def test_a_job_that_comes_due_for_a_paused_worker_starts_when_it_resumes(rig: Rig) -> None:
    worker = await rig.idle_worker()
    await rig.add("a", delay=50)
    await worker.pause()
    await eventually(due_for(rig, 0.08))
    resumed = time.time()
    worker.resume()
    assert 0 <= rig.late((await rig.started(1))[0].at, resumed) < PUNCTUAL


async def test_a_paused_worker_closes_at_once(rig: Rig) -> None:
    worker = await rig.idle_worker()
    await worker.pause()
    asked = time.time()
    await worker.close()
    assert rig.late(time.time(), asked) < PROMPT


async def test_a_paused_queue_lets_running_jobs_end_and_starts_no_others_until_it_resumes(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    rig.worker(wait)
    rig.worker(wait)
    await rig.add(*"abc")
    await rig.started(2)
    await rig.queue.pause()
    await rig.add("d")
    hold.set()
    await rig.happened("completed", 2)

    async def both_idle() -> bool:
        return await rig.idle_workers() == 2

    await eventually(both_idle)
    resumed = time.time()
    await rig.queue.resume()
    starts = await rig.started(4)
    assert rig.ids()[2:] == [*"cd"]
    assert 0 <= rig.late(starts[2].at, resumed) < PUNCTUAL
    assert rig.late(starts[3].at, resumed) < PUNCTUAL


async def test_a_queue_may_be_paused_and_resumed_any_number_of_times(rig: Rig) -> None:
    await rig.idle_worker(concurrency=3)
    await rig.idle_worker()
    for number in range(20):
        await rig.queue.pause()
        await rig.add(f"job-{number}")
        resumed = time.time()
        await rig.queue.resume()
        assert 0 <= rig.late((await rig.started(number + 1))[-1].at, resumed) < PUNCTUAL


async def test_jobs_that_come_due_in_a_paused_queue_start_in_their_order_when_it_resumes(rig: Rig) -> None:
    await rig.idle_worker()
    await rig.queue.pause()
    await rig.add("later", delay=60)
    await rig.add("earlier", delay=30)
    await rig.add("at-once")
    await eventually(due_for(rig, 0.1))
    resumed = time.time()
    await rig.queue.resume()
    starts = await rig.started(3)
    assert rig.ids().index("earlier") < rig.ids().index("later")
    assert starts[0].at >= resumed
    assert rig.late(starts[2].at, resumed) < PUNCTUAL


async def test_a_job_due_after_its_queue_has_resumed_is_punctual(rig: Rig) -> None:
    await rig.idle_worker()
    await rig.queue.pause()
    added = await rig.add("a", delay=200)
    await eventually(rig.idle_workers)
    await rig.queue.resume()
    assert 0 <= rig.late((await rig.started(1))[0].at, added + 0.2 - 0.001) < PUNCTUAL


async def test_a_job_that_fails_in_a_paused_queue_is_tried_again_when_it_resumes(rig: Rig) -> None:
    async def fail_at_first(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            await rig.queue.pause()
            raise ValueError("not today")

    rig.worker(fail_at_first)
    await rig.add("a", attempts=2)
    await rig.happened("failed")
    assert await rig.waiting() == ["a"]
    resumed = time.time()
    await rig.queue.resume()
    assert 0 <= rig.late((await rig.started(2))[1].at, resumed) < PUNCTUAL
    await rig.happened("completed")


def due_for(rig: Rig, seconds: float) -> Any:
    """A fact that becomes true: so many seconds have passed."""
    until = time.time() + seconds

    async def passed() -> bool:
        return time.time() >= until

    return passed
