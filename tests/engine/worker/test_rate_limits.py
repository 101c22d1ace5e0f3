"""What a worker promises about rate limits: never above them, and on again as soon as they allow."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

import pytest
from bullmq.custom_errors import UnrecoverableError

from engine.worker.rig import PROMPT, Rig
from support.workshop import PUNCTUAL, eventually
from tidings.engine import RateLimitError, Worker

pytestmark = pytest.mark.timing

AN_INSTANT = 0.002  # seconds by which the start of a processor may lag behind the moment its job was fetched


async def test_jobs_above_the_limit_start_when_the_window_ends_and_not_before(rig: Rig) -> None:
    await rig.add(*"abcd")
    began = time.time()
    rig.worker(limiter={"max": 1, "duration": 150}, concurrency=5)
    starts = [start.at for start in await rig.started(4)]
    for number, (earlier, later) in enumerate(pairwise(starts), start=1):
        assert later >= began + number * 0.15 - AN_INSTANT
        assert rig.late(later, earlier + 0.15) < PUNCTUAL
    assert rig.ids() == [*"abcd"]


async def test_two_workers_share_a_limit(rig: Rig) -> None:
    ids = [f"job-{number}" for number in range(9)]
    await rig.add(*ids)
    for _ in range(2):
        rig.worker(limiter={"max": 3, "duration": 200}, concurrency=4)
    starts = [start.at for start in await rig.started(9)]
    for first in range(6):
        assert starts[first + 3] - starts[first] > 0.2 - 0.05, "more than three in a window"
    assert rig.late(starts[3], starts[0] + 0.2) < PUNCTUAL
    assert rig.late(starts[6], starts[3] + 0.2) < PUNCTUAL
    assert sorted(rig.ids()) == ids


async def test_a_limit_counts_starts_not_running_jobs(rig: Rig) -> None:
    async def take_long(job: Any, token: str) -> None:
        await asyncio.sleep(0.3)

    await rig.add(*"abcd")
    rig.worker(take_long, limiter={"max": 2, "duration": 100}, concurrency=4)
    starts = [start.at for start in await rig.started(4)]
    assert rig.late(starts[2], starts[0] + 0.1) < PUNCTUAL
    assert rig.late(starts[3], starts[0] + 0.1) < PUNCTUAL
    await rig.idle()


async def test_a_limit_set_by_a_job_gives_it_back_to_the_front_and_costs_no_attempt(rig: Rig) -> None:
    async def meet_a_limit(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            await worker.rateLimit(300)
            raise RateLimitError

    worker = rig.worker(meet_a_limit, limiter={"max": 10, "duration": 1000})
    await rig.add("a", "b", attempts=1)
    first, second, _ = await rig.started(3)
    await rig.happened("completed", 2)
    assert rig.ids() == ["a", "a", "b"]
    assert second.at >= first.at + 0.3 - AN_INSTANT
    assert rig.late(second.at, first.at + 0.3) < PUNCTUAL
    assert (second.attempts_made, second.attempts_started) == (0, 2)
    assert rig.events("failed") == []


async def test_a_limit_set_by_a_job_holds_its_worker_in_a_queue_that_has_no_limit_of_its_own(rig: Rig) -> None:
    async def meet_a_limit(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            await worker.rateLimit(250)
            raise Worker.RateLimitError()

    worker = rig.worker(meet_a_limit)
    await rig.add(*"ab")
    first, second, _ = await rig.started(3)
    assert rig.ids() == [*"aab"]
    assert second.at >= first.at + 0.25 - AN_INSTANT
    assert rig.late(second.at, first.at + 0.25) < PUNCTUAL


async def test_a_job_that_meets_a_limit_keeps_its_place_among_priorities(rig: Rig) -> None:
    async def meet_a_limit(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            await worker.rateLimit(100)
            raise RateLimitError

    await rig.add("low", priority=3)
    await rig.add("first", "second", priority=2)
    worker = rig.worker(meet_a_limit, limiter={"max": 100, "duration": 1000})
    await rig.started(4)
    assert rig.ids() == ["first", "first", "second", "low"]


async def test_a_job_may_give_up_instead_of_meeting_the_limit_again(rig: Rig) -> None:
    async def meet_a_limit(job: Any, token: str) -> None:
        if job.attemptsStarted == 3:
            raise UnrecoverableError("limited three times")
        await worker.rateLimit(20)
        raise RateLimitError

    worker = rig.worker(meet_a_limit, limiter={"max": 10, "duration": 1000})
    await rig.add("a", attempts=5)
    failed = (await rig.happened("failed"))[0]
    assert str(failed.arguments[1]) == "limited three times"
    assert len(rig.starts) == 3
    assert (await rig.job("a")).attemptsMade == 1


async def test_a_job_removed_while_it_meets_a_limit_is_reported_and_work_goes_on(rig: Rig) -> None:
    rig.errors_expected = True

    async def meet_a_limit(job: Any, token: str) -> None:
        if job.id == "a":
            await rig.redis.delete(rig.key("a"), rig.key("a:lock"))
            await rig.redis.lrem(rig.key("active"), 0, "a")
            raise RateLimitError

    rig.worker(meet_a_limit)
    await rig.add(*"ab")
    assert (await rig.happened("completed"))[0].job_id == "b"
    assert "a" in str(rig.events("error")[0].arguments[0])


async def test_a_limit_set_from_outside_holds_workers_and_lets_them_go_when_it_ends(rig: Rig) -> None:
    await rig.idle_worker(limiter={"max": 10, "duration": 1000})
    await rig.queue.rateLimit(300)
    ends = time.time() + 0.3
    await rig.add(*"ab")
    starts = await rig.started(2)
    for start in starts:
        assert start.at >= ends - AN_INSTANT - 0.01, "its expiry is counted from when Redis got it"
        assert rig.late(start.at, ends) < PUNCTUAL


async def test_a_global_rate_limit_binds_workers_that_know_of_none(rig: Rig) -> None:
    await rig.queue.setGlobalRateLimit(2, 200)
    await rig.add(*"abcd")
    began = time.time()
    rig.worker(concurrency=3)
    rig.worker(concurrency=3)
    starts = [start.at for start in await rig.started(4)]
    assert starts[2] >= began + 0.2 - AN_INSTANT
    assert rig.late(starts[1], starts[0]) < PUNCTUAL
    assert rig.late(starts[2], starts[0] + 0.2) < PUNCTUAL


async def test_a_limit_that_is_lifted_holds_workers_two_seconds_more_at_most(rig: Rig) -> None:
    await rig.queue.setGlobalRateLimit(1, 60_000)
    await rig.add(*"ab")
    rig.worker()
    await rig.started(1)
    await rig.queue.removeGlobalRateLimit()
    lifted = time.time()
    await rig.started(2)
    assert rig.late(rig.starts[1].at, lifted) < 2 + PUNCTUAL


async def test_under_a_limit_jobs_go_by_their_priority(rig: Rig) -> None:
    for number, priority in enumerate([5, 1, 0, 3, 1, 5]):
        await rig.add(f"job-{number}", priority=priority)
    rig.worker(limiter={"max": 1, "duration": 30}, concurrency=3)
    await rig.started(6)
    assert rig.ids() == ["job-2", "job-1", "job-4", "job-3", "job-0", "job-5"]


async def test_a_job_that_comes_due_under_a_limit_starts_when_the_limit_ends(rig: Rig) -> None:
    await rig.add("now", "next")
    await rig.add("later", delay=100)
    rig.worker(limiter={"max": 1, "duration": 300})
    first, second, third = await rig.started(3)
    assert rig.ids() == ["now", "next", "later"]
    assert rig.late(second.at, first.at + 0.3) < PUNCTUAL
    assert rig.late(third.at, second.at + 0.3) < PUNCTUAL


async def test_a_job_due_after_the_limit_has_ended_is_punctual(rig: Rig) -> None:
    rig.worker(limiter={"max": 1, "duration": 100})
    await rig.add("now")
    await rig.started(1)
    added = await rig.add("later", delay=250)
    later = (await rig.started(2))[1]
    assert 0 <= rig.late(later.at, added + 0.25 - 0.001) < PUNCTUAL


async def test_a_queue_paused_under_a_limit_stays_paused_when_the_limit_ends(rig: Rig) -> None:
    await rig.add(*"ab")
    rig.worker(limiter={"max": 1, "duration": 150})
    await rig.started(1)
    await rig.queue.pause()

    async def is_over() -> bool:
        return not await rig.redis.exists(rig.key("limiter"))

    await eventually(is_over)
    await eventually(rig.idle_workers)
    resumed = time.time()
    await rig.queue.resume()
    await rig.started(2)
    assert 0 <= rig.late(rig.starts[1].at, resumed) < PUNCTUAL


async def test_a_worker_held_by_a_limit_closes_at_once(rig: Rig) -> None:
    await rig.add(*"ab")
    worker = rig.worker(limiter={"max": 1, "duration": 60_000})
    await rig.happened("completed")
    asked = time.time()
    await worker.close()
    assert rig.late(time.time(), asked) < PROMPT
    assert await rig.waiting() == ["b"]
