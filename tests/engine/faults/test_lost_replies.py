"""What was lost with a connection is found again: no job waits for its lock to expire, and none runs twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from engine.faults.proxy import Proxy
from engine.faults.station import Station, until

SOON = 5.0  # seconds; a lock lasts 30 s in these tests
NOTHING, A_PIECE = 0, 40  # bytes of the replies that still arrive


@pytest.mark.parametrize("arrives", [NOTHING, A_PIECE])
async def test_a_job_whose_fetch_was_never_answered_is_worked_on_soon_and_once(
    station: Station, proxy: Proxy, arrives: int
) -> None:
    station.start()
    await station.idle()
    lost = proxy.lose_reply("moveToActive", after=arrives)
    await station.add(1)
    await asyncio.wait_for(lost.wait(), 5)
    await station.finished(1, within=SOON)
    assert station.ran == ["job-1"]
    assert station.stalled == []


async def test_jobs_of_several_lost_fetches_are_worked_on_soon_and_once(station: Station, proxy: Proxy) -> None:
    await station.add(*range(5))
    lost = proxy.lose_reply("moveToActive")
    station.start(concurrency=5)
    await asyncio.wait_for(lost.wait(), 5)
    await station.finished(5, within=SOON)
    assert Counter(station.ran) == Counter(f"job-{n}" for n in range(5))


async def test_a_fetch_that_never_reached_the_server_is_made_again(station: Station, proxy: Proxy) -> None:
    station.start()
    await station.idle()
    lost = proxy.lose_request("moveToActive")
    await station.add(1)
    await asyncio.wait_for(lost.wait(), 5)
    await station.finished(1, within=SOON)
    assert station.ran == ["job-1"]


@pytest.mark.parametrize("arrives", [NOTHING, A_PIECE])
async def test_a_completion_that_was_never_answered_is_no_second_run_and_the_next_job_goes_on(
    station: Station, proxy: Proxy, arrives: int
) -> None:
    await station.add(1, 2, 3)
    lost = proxy.lose_reply("moveToFinished", after=arrives)
    station.start()
    await asyncio.wait_for(lost.wait(), 5)
    await station.finished(3, within=SOON)
    assert station.ran == ["job-1", "job-2", "job-3"]
    assert station.completed == ["job-1", "job-2", "job-3"]
    assert station.failed == []


async def test_a_completion_that_never_reached_the_server_is_sent_again(station: Station, proxy: Proxy) -> None:
    await station.add(1, 2)
    lost = proxy.lose_request("moveToFinished")
    station.start()
    await asyncio.wait_for(lost.wait(), 5)
    await station.finished(2, within=SOON)
    assert station.ran == station.completed == ["job-1", "job-2"]


@pytest.mark.parametrize("arrives", [NOTHING, 3_000])
async def test_many_completions_that_were_never_answered_cost_no_job_and_repeat_none(
    station: Station, proxy: Proxy, arrives: int
) -> None:
    may_end = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await may_end.wait()

    await station.add(*range(25))
    station.start(wait, concurrency=10)
    await station.starts(10)
    lost = proxy.lose_reply("moveToFinished", after=arrives)
    may_end.set()
    await asyncio.wait_for(lost.wait(), 5)
    await station.finished(25, within=SOON)
    assert Counter(station.ran) == Counter(station.completed) == Counter(f"job-{n}" for n in range(25))
    assert station.failed == []


@pytest.mark.parametrize(("backoff", "script"), [(0, "retryJob"), (50, "moveToDelayed")])
async def test_a_failed_attempt_that_was_never_answered_is_repeated_once(
    station: Station, proxy: Proxy, backoff: int, script: str
) -> None:
    async def fail_at_first(job: Any, token: str) -> None:
        if len(station.ran) == 1:
            raise RuntimeError("not yet")

    station.start(fail_at_first)
    lost = proxy.lose_reply(script)
    await station.add(1, attempts=3, backoff={"type": "fixed", "delay": backoff})
    await asyncio.wait_for(lost.wait(), 5)
    await station.finished(1, within=SOON)
    assert station.ran == ["job-1", "job-1"]
    assert await station.redis.hget(station.key("job-1"), "atm") == "2"


async def test_a_job_that_failed_for_good_has_failed_once_though_the_answer_was_lost(
    station: Station, proxy: Proxy
) -> None:
    async def fail(job: Any, token: str) -> None:
        raise RuntimeError("never")

    lost = proxy.lose_reply("moveToFinished")
    station.start(fail)
    await station.add(1)
    await asyncio.wait_for(lost.wait(), 5)
    await until(lambda: station.failed == ["job-1"], within=SOON)
    assert await station.redis.hget(station.key("job-1"), "failedReason") == "never"
    assert station.ran == ["job-1"]


@pytest.mark.parametrize("script", ["moveToActive", "moveToFinished"])
async def test_a_second_break_at_whatever_moment_after_the_first_costs_no_job_and_repeats_none(
    station: Station, proxy: Proxy, script: str
) -> None:
    station.start(concurrency=2)
    for calls_between in range(14):
        done = len(station.completed)
        await station.idle()
        first = proxy.lose_reply(script)
        await station.add(done, done + 1, done + 2)
        await asyncio.wait_for(first.wait(), 5)
        second = proxy.lose_reply(skip=calls_between)
        await station.finished(done + 3, within=SOON)
        await asyncio.wait_for(second.wait(), 5)
    assert Counter(station.ran) == Counter(station.completed) == Counter(f"job-{n}" for n in range(3 * 14))
    assert station.failed == station.stalled == []


@pytest.mark.parametrize("seed", range(5))  # each is a sequence of breaks, the same in every run
async def test_on_a_network_that_breaks_all_the_time_every_job_runs_once(
    station: Station, proxy: Proxy, seed: int
) -> None:
    chance = random.Random(seed)

    async def take_a_moment(job: Any, token: str) -> None:
        await asyncio.sleep(chance.random() / 200)

    await station.add(*range(150))
    station.start(take_a_moment, concurrency=7)
    for seen in range(10, 150, 10):
        await station.starts(seen)
        match chance.randrange(4):
            case 0:
                proxy.cut()
            case 1:
                proxy.lose_reply("moveToFinished", after=chance.randrange(2_000))
            case 2:
                proxy.lose_request("moveToFinished")
            case 3:
                proxy.lose_reply("moveToActive")
    await station.finished(150)
    assert Counter(station.ran) == Counter(station.completed) == Counter(f"job-{n}" for n in range(150))
    assert station.stalled == station.failed == []
