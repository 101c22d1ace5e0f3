"""What a worker promises about times and order: no job early, none late, and who goes first."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import pairwise
from typing import Any

import pytest
from bullmq.redis_connection import loadScript

from engine.worker.rig import Rig
from support.workshop import PUNCTUAL, eventually

pytestmark = pytest.mark.timing

DAYS = 24 * 3600 * 1000  # in milliseconds


async def test_no_job_starts_in_a_millisecond_before_its_own(rig: Rig) -> None:
    await rig.idle_worker(concurrency=8)
    dice = random.Random(7)
    for number in range(60):
        await rig.add(f"job-{number}", delay=dice.randint(30, 700))
    for start in await rig.started(60):
        due = start.job.timestamp + start.job.opts["delay"]
        assert start.job.processedOn >= due, "by the server's record"
        assert int(start.at * 1000) >= due, "by the clock on the wall"
        assert rig.late(start.at, due / 1000) < PUNCTUAL


async def test_jobs_start_in_the_order_of_their_times_whatever_the_order_they_came_in(rig: Rig) -> None:
    now = round(time.time() * 1000)
    for number in (4, 1, 3, 0, 2):
        await rig.add(f"job-{number}", timestamp=now, delay=150 + number * 2)
    rig.worker()
    await rig.started(5)
    assert rig.ids() == [f"job-{number}" for number in range(5)]


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_jobs_due_in_the_same_millisecond_start_in_the_order_they_came_in(rig: Rig, concurrency: int) -> None:
    now = round(time.time() * 1000)
    ids = [f"job-{number}" for number in range(100)]
    random.Random(3).shuffle(ids)
    await rig.add(*ids, timestamp=now, delay=200)
    rig.worker(concurrency=concurrency)
    starts = await rig.started(100)
    assert rig.ids() == ids
    assert 0 <= rig.late(starts[0].at, (now + 200) / 1000) < PUNCTUAL


async def test_several_workers_share_jobs_due_together_and_start_none_twice(rig: Rig) -> None:
    for _ in range(3):
        rig.worker(concurrency=2)
    now = round(time.time() * 1000)
    ids = [f"job-{number}" for number in range(60)]
    await rig.add(*ids, timestamp=now, delay=300)
    await rig.happened("completed", 60)
    assert sorted(rig.ids()) == sorted(ids)
    assert all(start.at >= (now + 300) / 1000 for start in rig.starts)


async def test_a_crowd_due_in_the_same_millisecond_is_worked_off_in_order_without_a_gap(rig: Rig) -> None:
    now = round(time.time() * 1000)
    ids = [f"job-{number}" for number in range(2500)]  # the scripts move a thousand at a time
    await rig.add(*ids, timestamp=now, delay=1000)
    rig.worker(concurrency=50)
    starts = await rig.started(2500)
    assert rig.ids() == ids
    assert all(start.at >= (now + 1000) / 1000 for start in starts)
    assert max(rig.late(later.at, earlier.at) for earlier, later in pairwise(starts)) < 0.2


async def test_the_time_of_a_job_is_kept_when_the_worker_that_knew_it_gets_busy(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        if job.id.startswith("long"):
            await hold.wait()

    for _ in range(3):
        await rig.idle_worker(wait)
    due = {}
    for number in range(2):
        due[f"timed-{number}"] = await rig.add(f"timed-{number}", delay=250) + 0.25
        await rig.add(f"long-{number}")
    for start in (await rig.started(4))[2:]:
        assert 0 <= rig.late(start.at, due[start.job.id] - 0.001) < PUNCTUAL
    hold.set()
    await rig.idle()


async def test_among_jobs_due_together_priorities_decide(rig: Rig) -> None:
    now = round(time.time() * 1000)
    for number, priority in enumerate([3, 1, 0, 2, 1]):
        await rig.add(f"job-{number}", timestamp=now, delay=150, priority=priority)
    rig.worker()
    await rig.started(5)
    assert rig.ids() == ["job-2", "job-1", "job-4", "job-3", "job-0"]


async def test_last_in_first_out_where_jobs_ask_for_it(rig: Rig) -> None:
    for number in range(4):
        await rig.add(f"job-{number}", lifo=True)
    rig.worker()
    await rig.started(4)
    assert rig.ids() == ["job-3", "job-2", "job-1", "job-0"]


async def test_jobs_go_by_priority_and_among_equals_by_age(rig: Rig) -> None:
    priorities = [2_097_152, 3, 0, 1, 3, 2_097_152, 0, 1]
    for number, priority in enumerate(priorities):
        await rig.add(f"job-{number}", priority=priority)
    rig.worker()
    await rig.started(8)
    assert rig.ids() == [f"job-{number}" for number in (2, 6, 3, 7, 1, 4, 0, 5)]


async def test_a_job_due_in_a_moment_is_not_held_up_by_one_due_in_a_month(rig: Rig) -> None:
    await rig.add("month", delay=30 * DAYS)
    await rig.idle_worker()
    await rig.add("year", delay=400 * DAYS)
    added = await rig.add("moment", delay=120)
    assert (await rig.started(1))[0].job.id == "moment"
    assert 0 <= rig.late(rig.starts[0].at, added + 0.12 - 0.001) < PUNCTUAL
    added = await rig.add("now")
    assert rig.late((await rig.started(2))[1].at, added) < PUNCTUAL


async def test_every_earlier_job_that_comes_in_moves_the_alarm_forward(rig: Rig) -> None:
    await rig.idle_worker()
    added = {delay: await rig.add(f"job-{delay}", delay=delay) for delay in (500, 400, 300, 200, 100)}
    for start in await rig.started(5):
        delay = start.job.opts["delay"]
        assert 0 <= rig.late(start.at, added[delay] + delay / 1000 - 0.001) < PUNCTUAL
    assert rig.ids() == [f"job-{delay}" for delay in (100, 200, 300, 400, 500)]


async def test_a_job_added_when_the_queue_has_just_run_empty_starts_at_once(rig: Rig) -> None:
    rig.worker()
    for number in range(20):
        await rig.happened("completed", number)
        added = await rig.add(f"job-{number}")
        assert rig.late((await rig.started(number + 1))[-1].at, added) < PUNCTUAL


async def test_a_promoted_job_starts_at_once(rig: Rig) -> None:
    await rig.add("a", delay=DAYS)
    await rig.idle_worker()
    promoted = time.time()
    await (await rig.job("a")).promote()
    assert rig.late((await rig.started(1))[0].at, promoted) < PUNCTUAL


@pytest.mark.parametrize(("before", "after"), [(DAYS, 100), (60, 200)])
async def test_a_job_whose_delay_is_changed_starts_at_its_new_time(rig: Rig, before: int, after: int) -> None:
    await rig.add("a", delay=before)
    await rig.idle_worker()
    changed = time.time()
    await change_delay(rig, "a", after)
    assert 0 <= rig.late((await rig.started(1))[0].at, changed + after / 1000 - 0.001) < PUNCTUAL
    assert len(rig.starts) == 1


async def change_delay(rig: Rig, job_id: str, milliseconds: int) -> None:
    """What `Job.changeDelay` does in Node; the Python package only ships its script."""
    keys = [rig.key(name) for name in ("delayed", "meta", "marker", "events")]
    arguments = [milliseconds, round(time.time() * 1000), job_id, rig.key(job_id)]
    assert await rig.redis.eval(loadScript("changeDelay-4.lua"), 4, *keys, *arguments) == 0


async def test_a_removed_job_leaves_the_time_of_the_next_one_as_it_was(rig: Rig) -> None:
    await rig.add("removed", delay=100)
    added = await rig.add("kept", delay=250)
    await rig.idle_worker()
    await (await rig.job("removed")).remove()
    assert (await rig.started(1))[0].job.id == "kept"
    assert 0 <= rig.late(rig.starts[0].at, added + 0.25 - 0.001) < PUNCTUAL


async def test_a_lost_marker_delays_work_by_two_seconds_at_most(rig: Rig) -> None:
    await rig.queue.pause()
    await rig.idle_worker()
    added = await rig.add("a")
    await rig.redis.hdel(rig.key("meta"), "paused")
    await rig.started(1)
    assert rig.late(rig.starts[0].at, added) < 2 + PUNCTUAL


async def test_delayed_and_failing_jobs_do_not_get_in_each_others_way(rig: Rig) -> None:
    async def fail_at_first(job: Any, token: str) -> None:
        if job.attemptsMade == 0:
            raise ValueError("not yet")

    rig.worker(fail_at_first, concurrency=4)
    ids = [f"job-{number}" for number in range(40)]
    for number, job_id in enumerate(ids):
        await rig.add(job_id, delay=number * 5, attempts=2, backoff=50)
    await rig.happened("completed", 40)
    assert sorted(rig.ids()) == sorted(ids * 2)
    first = {start.job.id: start.at for start in rig.starts if start.attempts_made == 0}
    second = {start.job.id: start.at for start in rig.starts if start.attempts_made == 1}
    for job_id in ids:
        assert 0 <= rig.late(second[job_id], first[job_id] + 0.05 - 0.001) < PUNCTUAL


async def test_a_job_delayed_by_nothing_waits_for_nothing(rig: Rig) -> None:
    await rig.add("plain", delay=0)
    await rig.add("urgent", delay=0, priority=2)
    assert await rig.waiting() == ["plain", "urgent"]
    rig.worker()
    await rig.started(2)

    async def told_so() -> bool:
        return len(rig.events("drained")) == 1

    await eventually(told_so)
