"""What a worker promises about jobs that another one has left behind, and about locks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import bullmq
import pytest

from engine.worker.rig import Rig
from support.workshop import eventually

TOO_OFTEN = "job stalled more than allowable limit"


@pytest.mark.timing
async def test_a_worker_looks_for_stalled_jobs_as_soon_as_it_starts(rig: Rig) -> None:
    await rig.add("left")
    await rig.abandon()
    began = time.time()
    rig.worker(stalledInterval=30_000)
    assert (await rig.started(1))[0].job.id == "left"
    assert rig.late(rig.starts[0].at, began) < 1
    assert [told.arguments[0] for told in await rig.happened("stalled")] == ["left"]


async def test_a_running_worker_takes_over_what_another_leaves_and_does_it_first(rig: Rig) -> None:
    hold = asyncio.Event()

    async def wait_at_first(job: Any, token: str) -> None:
        if job.id == "first":
            await hold.wait()

    await rig.add("left")
    await rig.abandon(noticed=False)
    await rig.add("first", "waiting")
    rig.worker(wait_at_first, stalledInterval=100)
    await rig.happened("stalled")
    hold.set()
    await rig.happened("completed", 3)
    assert rig.ids() == ["first", "left", "waiting"]
    left = await rig.job("left")
    assert (left.stalledCounter, left.attemptsMade, left.attemptsStarted) == (1, 1, 2)


@pytest.mark.parametrize("allowed", [0, 1, 2])
async def test_a_job_that_stalls_too_often_fails_without_being_started_again(rig: Rig, allowed: int) -> None:
    await rig.add("left", attempts=5)
    for _ in range(allowed):
        await rig.abandon()
        await rig.redis.delete(rig.key("stalled-check"))
        await rig.queue.backend.moveStalledJobsToWait(allowed, 1)
    await rig.abandon()
    rig.worker(maxStalledCount=allowed, stalledInterval=100)
    failed = (await rig.happened("failed"))[0]
    assert failed.job_id == "left"
    assert str(failed.arguments[1]) == TOO_OFTEN
    assert rig.starts == []
    job = await rig.job("left")
    assert await job.isFailed()
    assert (job.failedReason, job.stalledCounter, job.deferredFailure) == (TOO_OFTEN, allowed + 1, None)


async def test_a_job_that_stalled_as_often_as_allowed_is_still_done(rig: Rig) -> None:
    await rig.add("left")
    await rig.abandon()
    rig.worker(maxStalledCount=1)
    assert (await rig.happened("completed"))[0].job_id == "left"


async def test_a_stalled_and_failed_job_that_is_retried_by_hand_runs(rig: Rig) -> None:
    await rig.add("left")
    await rig.abandon()
    rig.worker(maxStalledCount=0)
    await rig.happened("failed")
    await (await rig.job("left")).retry()
    await rig.happened("completed")
    left = await rig.job("left")
    assert (left.stalledCounter, left.attemptsStarted, left.attemptsMade) == (1, 3, 2)


@pytest.mark.timing
async def test_jobs_failed_for_stalling_do_not_hold_up_the_others(rig: Rig) -> None:
    left = [f"left-{number}" for number in range(5)]
    await rig.add(*left)
    await rig.abandon(5)
    await rig.add("waiting")
    began = time.time()
    rig.worker(maxStalledCount=0, removeOnFail={"count": 2})
    await rig.started(1)
    assert rig.late(rig.starts[0].at, began) < 1
    assert sorted(told.job_id for told in await rig.happened("failed", 5)) == left
    assert (await rig.counts("failed"))["failed"] == 2
    assert rig.ids() == ["waiting"]


async def test_a_job_failed_for_stalling_is_removed_if_failed_jobs_are(rig: Rig) -> None:
    await rig.add("left", removeOnFail=True)
    await rig.abandon()
    rig.worker(maxStalledCount=0)
    await rig.happened("failed")
    assert await rig.redis.keys(rig.key("left*")) == []


async def test_a_parent_fails_with_its_stalled_child(rig: Rig) -> None:
    await add_family(rig, failParentOnFailure=True)
    await rig.abandon()
    rig.worker(maxStalledCount=0)
    child, parent = await rig.happened("failed", 2)
    assert (child.job_id, parent.job_id) == ("child", "parent")
    assert str(parent.arguments[1]) == f"child {rig.key('child')} failed"
    assert rig.starts == []
    assert await (await rig.job("parent")).isFailed()


@pytest.mark.parametrize(
    "option", ["continueParentOnFailure", "ignoreDependencyOnFailure", "removeDependencyOnFailure"]
)
async def test_a_parent_that_may_go_on_without_its_stalled_child_runs(rig: Rig, option: str) -> None:
    await add_family(rig, **{option: True})
    await rig.abandon()
    rig.worker(maxStalledCount=0)
    assert (await rig.happened("completed"))[0].job_id == "parent"
    assert [told.job_id for told in rig.events("failed")] == ["child"]
    reasons: dict[str, str] = await rig.redis.hgetall(rig.key("parent:failed"))
    assert list(reasons.values()) == ([] if option == "removeDependencyOnFailure" else [TOO_OFTEN])


async def add_family(rig: Rig, **options: Any) -> None:
    """A parent that waits for one child."""
    family = bullmq.FlowProducer({"connection": rig.redis, "prefix": rig.prefix})
    child = {"name": "child", "queueName": rig.name, "data": {}, "opts": {"jobId": "child", **options}}
    opts = {"jobId": "parent"}
    await family.add({"name": "parent", "queueName": rig.name, "data": {}, "opts": opts, "children": [child]})


async def test_a_worker_told_not_to_look_for_stalled_jobs_leaves_them(rig: Rig) -> None:
    await rig.add("left")
    await rig.abandon()
    rig.worker(stalledInterval=20, skipStalledCheck=True)
    for number in range(5):
        await rig.add(f"job-{number}", delay=20)
        await rig.happened("completed", number + 1)
    assert "left" not in rig.ids()
    assert not await rig.redis.exists(rig.key("stalled-check"))
    assert await (await rig.job("left")).isActive()


async def test_locks_of_many_jobs_are_extended_while_they_run(rig: Rig) -> None:
    async def outlast_the_lock(job: Any, token: str) -> None:
        await asyncio.sleep(1.2)

    ids = [f"job-{number}" for number in range(40)]
    await rig.add(*ids)
    rig.worker(outlast_the_lock, concurrency=40, lockDuration=400, stalledInterval=100)
    rig.worker(outlast_the_lock, concurrency=1, lockDuration=400, stalledInterval=100)
    await rig.happened("completed", 40)
    assert sorted(rig.ids()) == sorted(ids)
    assert rig.events("stalled", "lockRenewalFailed") == []
    renewed = {job_id for told in rig.events("locksRenewed") for job_id in told.arguments[0]["jobIds"]}
    assert renewed == set(ids)


async def test_locks_are_not_missed_of_jobs_that_end_while_they_are_extended(rig: Rig) -> None:
    async def take_a_moment(job: Any, token: str) -> None:
        await asyncio.sleep(0.03)

    await rig.add(*(f"job-{number}" for number in range(300)))
    rig.worker(take_a_moment, concurrency=30, lockDuration=2000, lockRenewTime=4)
    await rig.happened("completed", 300)
    assert rig.events("locksRenewed")
    assert rig.events("lockRenewalFailed", "error") == []


async def test_an_extension_that_a_broken_connection_delayed_does_not_take_the_lock_of_the_next_attempt(
    rig: Rig,
) -> None:
    rig.errors_expected = True
    is_cut = asyncio.Event()

    async def fail_at_first(job: Any, token: str) -> None:
        if job.attemptsMade == 0:
            await is_cut.wait()
            raise ValueError("not yet")
        await asyncio.sleep(0.6)  # longer than it takes until the extension is repeated

    async def connection_that_waits() -> dict[str, str] | None:
        name = rig.queue.backend.clientName()
        clients = [client for client in await rig.redis.client_list() if client["name"] == name]
        return next((client for client in clients if client["cmd"] == "evalsha" and "b" in client["flags"]), None)

    rig.worker(fail_at_first, lockDuration=5000, lockRenewTime=20, stalledInterval=60_000)
    await rig.add("a", attempts=2)
    await rig.happened("locksRenewed")
    await rig.redis.client_pause(3000, all=False)  # of what writes
    try:
        client = await eventually(connection_that_waits)
        assert client is not None
        await rig.redis.client_kill_filter(_id=client["id"])
    finally:
        await rig.redis.client_unpause()
    is_cut.set()
    assert (await rig.happened("completed", within=3))[0].job_id == "a"
    assert len(rig.starts) == 2


async def test_a_worker_told_not_to_extend_locks_loses_long_jobs_and_does_not_complete_them(rig: Rig) -> None:
    rig.errors_expected = True
    hold = asyncio.Event()

    async def hang_at_first(job: Any, token: str) -> int:
        if len(rig.starts) == 1:
            await hold.wait()
            return 1
        return 2

    slow = rig.worker(hang_at_first, lockDuration=50, skipLockRenewal=True, skipStalledCheck=True)
    await rig.add("a")
    await rig.started(1)
    rig.worker(hang_at_first, stalledInterval=100)
    await rig.happened("completed")
    hold.set()
    await rig.happened("error")
    assert [told.worker is slow for told in rig.events("completed")] == [False]
    job = await rig.job("a")
    assert (job.returnvalue, job.attemptsMade) == (2, 1)


async def test_a_job_whose_lock_another_has_is_told_so_and_left_to_that_other(rig: Rig) -> None:
    rig.errors_expected = True

    async def wait_for_the_end(job: Any, token: str, signal: Any) -> str:
        await asyncio.wait_for(signal.wait(), 5)
        return "too late"

    rig.worker(wait_for_the_end, lockDuration=200)
    await rig.add("a")
    await rig.started(1)
    await rig.redis.set(rig.key("a:lock"), "another", px=60_000)
    assert (await rig.happened("lockRenewalFailed"))[0].arguments == (["a"],)
    await rig.add("b")
    await rig.started(2)
    assert await rig.redis.get(rig.key("a:lock")) == "another"
    job = await rig.job("a")
    assert await job.isActive()
    assert (job.returnvalue, job.failedReason, job.attemptsMade) == (None, None, 0)
    assert rig.events("completed", "failed") == []


async def test_a_worker_goes_on_after_one_of_its_own_jobs_has_stalled(rig: Rig) -> None:
    rig.errors_expected = True

    async def lose_the_lock_at_first(job: Any, token: str) -> None:
        if len(rig.starts) == 1:
            await rig.redis.delete(rig.key("a:lock"))
            await rig.happened("stalled")

    rig.worker(lose_the_lock_at_first, stalledInterval=60, lockRenewTime=20_000)
    await rig.add(*"ab")
    await rig.happened("completed", 2)
    assert rig.ids() == [*"aab"]
    assert [told.job_id for told in rig.events("completed")] == [*"ab"]


async def test_a_completed_job_is_no_longer_suspected_of_having_stalled(rig: Rig) -> None:
    async def be_suspected(job: Any, token: str) -> None:
        await rig.redis.sadd(rig.key("stalled"), job.id)

    rig.worker(be_suspected)
    await rig.add(*"ab")
    await rig.happened("completed", 2)

    async def nobody() -> bool:
        return not await rig.redis.scard(rig.key("stalled"))

    await eventually(nobody)
