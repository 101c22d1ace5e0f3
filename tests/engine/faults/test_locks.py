"""A job belongs to the worker that has its lock: it is kept while the job runs, and once lost it is respected."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from engine.faults.proxy import COMMANDS, Proxy
from engine.faults.station import Station, until
from support.workshop import eventually

# Milliseconds. A lock is renewed after each half of lockRenewTime, so that no standstill of the machine costs one.
LOCKS: dict[str, Any] = {"lockDuration": 1_000, "lockRenewTime": 200, "stalledInterval": 100}


async def test_a_job_longer_than_its_lock_runs_once(station: Station, proxy: Proxy) -> None:
    async def outlast_the_lock(job: Any, token: str) -> None:
        await until(lambda: proxy.calls()["extendLocks"] >= 12)  # one each 100 ms

    station.start(outlast_the_lock, **LOCKS)
    await station.add(1)
    await station.starts(1)
    station.start(through_proxy=False, **LOCKS)
    await station.finished(1)
    assert station.ran == ["job-1"]
    assert station.stalled == station.lost_locks == []


async def test_who_loses_a_lock_is_told_and_leaves_the_job_to_its_new_owner(station: Station, proxy: Proxy) -> None:
    aborted = []

    async def wait_for_the_signal(job: Any, token: str, signal: Any) -> str:
        if job.id == "job-1":
            await asyncio.wait_for(signal.wait(), 5)
            aborted.append(job.id)
        return "too late"

    station.start(wait_for_the_signal, lockDuration=800)
    await station.add(1)
    await station.starts(1)
    await station.redis.set(station.key("job-1:lock"), "another's")
    await station.add(2)  # with one slot, it is completed after whatever becomes of the first
    await until(lambda: bool(station.completed))
    assert aborted == station.lost_locks == ["job-1"]
    assert station.completed == ["job-2"]
    assert proxy.calls()["moveToFinished"] == 1
    assert await station.redis.get(station.key("job-1:lock")) == "another's"
    assert await station.redis.lrange(station.key("active"), 0, -1) == ["job-1"]
    assert await station.redis.hget(station.key("job-1"), "returnvalue") is None


async def test_a_completion_that_waits_for_the_server_still_has_its_lock(station: Station, proxy: Proxy) -> None:
    may_end = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await may_end.wait()

    await station.add(1)
    station.start(wait, lockDuration=3_000, stalledInterval=50)
    await station.starts(1)
    station.start(through_proxy=False, lockDuration=3_000, stalledInterval=50)
    proxy.refuse()
    proxy.cut()
    may_end.set()
    await until(lambda: station.processed == ["job-1"] and proxy.refused >= 2)
    proxy.refuse(False)
    await station.finished(1)
    assert station.ran == ["job-1"]
    assert station.stalled == []


async def test_the_lock_of_a_completion_that_is_refused_for_long_is_kept(station: Station, proxy: Proxy) -> None:
    await station.add(1)
    proxy.answers["moveToFinished"] = b"BUSY somebody's script is running"
    station.start(**LOCKS)
    await station.starts(1)
    station.start(through_proxy=False, **LOCKS)
    await until(lambda: proxy.calls()["extendLocks"] >= 12)  # one each 100 ms
    assert station.completed == []
    proxy.answers.clear()
    await station.finished(1)
    assert station.ran == ["job-1"]
    assert station.stalled == station.lost_locks == []


async def test_a_completion_that_was_never_answered_does_not_pass_for_a_lost_lock(
    station: Station, proxy: Proxy
) -> None:
    await station.add(1, 2)
    lost = proxy.lose_reply("moveToFinished")
    station.start(lockRenewTime=200)
    await asyncio.wait_for(lost.wait(), 5)
    proxy.answers["moveToFinished"] = b"BUSY somebody's script is running"
    await until(lambda: proxy.calls()["extendLocks"] >= 2)  # of a job that has been completed, though nobody said so
    proxy.answers.clear()
    await station.finished(2)
    assert station.ran == station.completed == ["job-1", "job-2"]


@pytest.mark.parametrize("outage", ["out of reach", "silent"])
async def test_a_completion_that_comes_after_its_lock_expired_changes_nothing(
    station: Station, proxy: Proxy, outage: str
) -> None:
    first_may_end, second_may_end = asyncio.Event(), asyncio.Event()

    async def first(job: Any, token: str) -> str:
        await first_may_end.wait()
        return "first"

    async def second(job: Any, token: str) -> str:
        await second_may_end.wait()
        return "second"

    await station.add(1)
    station.start(first, lockDuration=500, stalledInterval=100)
    await station.starts(1)
    if outage == "silent":
        proxy.freeze(COMMANDS)
    else:
        proxy.refuse()
        proxy.cut()
    first_may_end.set()
    station.start(second, through_proxy=False, lockDuration=5_000, stalledInterval=100)
    await station.starts(2)
    before = len(station.errors)
    proxy.thaw()
    proxy.refuse(False)
    await until(lambda: len(station.errors) > before)

    async def is_locked() -> Any:
        return await station.redis.get(station.key("job-1:lock"))

    assert await eventually(is_locked)
    assert station.completed == []
    second_may_end.set()
    await station.finished(1)
    assert station.ran == ["job-1", "job-1"]
    assert await station.redis.hget(station.key("job-1"), "returnvalue") == '"second"'


async def test_no_two_jobs_that_run_side_by_side_have_the_same_token(station: Station) -> None:
    held = set()

    async def fail_at_first(job: Any, token: str) -> None:
        assert token not in held
        held.add(token)
        assert await station.redis.get(station.key(f"{job.id}:lock")) == token
        held.remove(token)
        if job.attemptsMade == 0:
            raise RuntimeError("not yet")

    await station.add(*range(40), attempts=2)
    station.start(fail_at_first, concurrency=4)
    station.start(fail_at_first, concurrency=4)
    await station.finished(40)
    assert Counter(station.ran) == Counter(2 * [f"job-{n}" for n in range(40)])
