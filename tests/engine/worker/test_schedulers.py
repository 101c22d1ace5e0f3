"""What a worker promises about job schedulers: each iteration once, and the next one in its place."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from engine.worker.rig import Rig
from support.workshop import PUNCTUAL, eventually


async def schedule(rig: Rig, name: str, repeat: dict[str, Any], opts: dict[str, Any] | None = None) -> None:
    """Makes a job scheduler, as `Queue.upsertJobScheduler` does."""
    await rig.queue.upsertJobScheduler(name, repeat, "order", {"of": name}, opts)


async def upcoming(rig: Rig) -> list[str]:
    """The ids of the iterations that are to come."""
    ids: list[str] = await rig.redis.zrange(rig.key("delayed"), 0, -1)
    return ids


def slot(job_id: str) -> float:
    """When an iteration is due, in seconds since the epoch: its id ends with that, in milliseconds."""
    return int(job_id.rsplit(":", 1)[1]) / 1000


@pytest.mark.timing
async def test_a_job_that_comes_every_so_often_starts_in_every_slot_once_and_on_time(rig: Rig) -> None:
    await rig.idle_worker()
    await schedule(rig, "often", {"every": 150})
    starts = await rig.started(6)
    for earlier, later in pairwise(starts):
        assert round((slot(later.job.id) - slot(earlier.job.id)) * 1000) == 150
    for start in starts[1:]:
        assert 0 <= rig.late(start.at, slot(start.job.id)) < PUNCTUAL
        assert start.job.data == {"of": "often"}
    await rig.happened("completed", 6)
    assert len(await upcoming(rig)) == 1


@pytest.mark.timing
async def test_several_workers_share_the_iterations(rig: Rig) -> None:
    for _ in range(3):
        await rig.idle_worker(concurrency=2)
    await schedule(rig, "often", {"every": 50})
    starts = await rig.started(10)
    slots = [slot(start.job.id) for start in starts]
    assert [round((later - earlier) * 1000) for earlier, later in pairwise(slots)] == [50] * 9
    for start in starts[1:]:
        assert 0 <= rig.late(start.at, slot(start.job.id)) < PUNCTUAL


@pytest.mark.timing
async def test_a_pattern_names_the_seconds(rig: Rig) -> None:
    await rig.idle_worker()
    await schedule(rig, "seconds", {"pattern": "* * * * * *"})
    starts = await rig.started(2)
    for start in starts:
        assert slot(start.job.id) == int(slot(start.job.id))
        assert 0 <= rig.late(start.at, slot(start.job.id)) < PUNCTUAL
    assert slot(starts[1].job.id) - slot(starts[0].job.id) == 1


async def test_a_limited_schedule_ends(rig: Rig) -> None:
    await rig.idle_worker()
    await schedule(rig, "thrice", {"every": 40, "limit": 3})
    await schedule(rig, "on", {"every": 40})

    async def others_went_on() -> bool:
        return Counter(start.job.data["of"] for start in rig.starts)["on"] >= 7

    await eventually(others_went_on)
    assert Counter(start.job.data["of"] for start in rig.starts)["thrice"] == 3
    assert {job_id.split(":")[1] for job_id in await upcoming(rig)} <= {"on"}


@pytest.mark.timing
async def test_a_schedule_ends_at_its_end(rig: Rig) -> None:
    end = round(time.time() * 1000) + 250
    await rig.idle_worker()
    await schedule(rig, "brief", {"every": 60, "endDate": end})

    async def is_over() -> bool:
        return time.time() * 1000 > end and not await upcoming(rig)

    await eventually(is_over)
    assert 3 <= len(rig.starts) <= 6
    assert all(slot(start.job.id) * 1000 <= end + 60 for start in rig.starts)


async def test_iterations_that_fail_and_are_retried_advance_the_schedule_once(rig: Rig) -> None:
    async def fail_at_first(job: Any, token: str) -> None:
        if job.attemptsMade == 0:
            raise ValueError("not yet")

    await rig.idle_worker(fail_at_first, concurrency=3)
    await schedule(rig, "often", {"every": 100}, {"attempts": 2, "backoff": 30})
    await rig.happened("completed", 4)
    slots = sorted({slot(start.job.id) for start in rig.starts})
    assert {round((later - earlier) * 1000) for earlier, later in pairwise(slots)} == {100}
    assert max(Counter(rig.ids()).values()) == 2


async def test_iterations_that_fail_for_good_do_not_end_the_schedule(rig: Rig) -> None:
    async def fail(job: Any, token: str) -> None:
        raise ValueError("never")

    await rig.idle_worker(fail)
    await schedule(rig, "often", {"every": 50})
    await rig.happened("failed", 4)
    assert max(Counter(rig.ids()).values()) == 1


async def test_an_iteration_that_stalls_is_repeated_never_failed_and_advances_the_schedule_once(rig: Rig) -> None:
    await schedule(rig, "daily", {"every": 86_400_000})
    for _ in range(3):
        await rig.abandon()
        await rig.redis.delete(rig.key("stalled-check"))
        await rig.queue.backend.moveStalledJobsToWait(1, 1)
    rig.worker(maxStalledCount=1)
    first = (await rig.happened("completed"))[0]
    await rig.idle_worker()
    following = await upcoming(rig)
    assert [round((slot(job_id) - slot(first.job_id)) * 1000) for job_id in following] == [86_400_000]
    assert rig.events("failed") == []


async def test_iterations_that_begin_in_the_round_trip_of_another_job_advance_their_schedule_too(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await hold.wait()

    rig.worker(wait)
    await rig.add("before")
    await rig.started(1)
    names = [f"schedule-{number}" for number in range(5)]
    for name in names:
        await schedule(rig, name, {"every": 86_400_000})
    await rig.add("after")
    hold.set()
    await rig.happened("completed", 7)
    assert sorted(job_id.split(":")[1] for job_id in await upcoming(rig)) == names


@pytest.mark.timing
async def test_after_an_absence_one_iteration_is_made_up_for_and_the_next_is_in_step(rig: Rig) -> None:
    await schedule(rig, "often", {"every": 100})
    began = time.time()

    async def some_were_missed() -> bool:
        return time.time() > began + 0.35

    await eventually(some_were_missed)
    rig.worker()
    first, second, third = (await rig.started(3))[:3]
    assert rig.late(first.at, began + 0.35) < PUNCTUAL
    assert slot(second.job.id) > first.at - 0.001
    assert 0 <= rig.late(second.at, slot(second.job.id)) < PUNCTUAL
    assert round((slot(third.job.id) - slot(second.job.id)) * 1000) == 100


async def test_a_schedule_removed_while_an_iteration_runs_brings_no_other(rig: Rig) -> None:
    async def remove(job: Any, token: str) -> None:
        await rig.queue.removeJobScheduler("often")

    await rig.idle_worker(remove)
    await schedule(rig, "often", {"every": 50})
    await rig.happened("completed")
    await rig.add("later", delay=150)
    await rig.started(2)
    assert rig.ids()[1] == "later"


async def test_a_schedule_that_is_changed_goes_on_with_what_it_was_changed_to(rig: Rig) -> None:
    await rig.idle_worker()
    await schedule(rig, "often", {"every": 50})
    await rig.started(2)
    await rig.queue.upsertJobScheduler("often", {"every": 80}, "order", {"of": "new"})

    async def changed() -> bool:
        return [start.job.data["of"] for start in rig.starts].count("new") >= 3

    await eventually(changed)
    new = [slot(start.job.id) for start in rig.starts if start.job.data["of"] == "new"]
    assert round((new[2] - new[1]) * 1000) == 80
