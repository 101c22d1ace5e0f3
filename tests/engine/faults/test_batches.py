"""What was lost of a batch is found again: no job of it waits for its lock to expire, none runs or ends twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from engine.faults.proxy import Proxy
from engine.faults.station import Station, until
from tidings.engine.worker.scripts import load_scripts

SOON = 5.0  # seconds; a lock lasts 30 s in these tests
IN_BATCHES: dict[str, Any] = {"batch": 10, "concurrency": 10}


@pytest.fixture(autouse=True)
async def known_scripts(station: Station) -> None:
    """Else the reply that is lost may be that the server does not know the script."""
    for script in load_scripts().values():
        await station.redis.script_load(script.source)


def jobs(count: int) -> list[str]:
    return [f"job-{number}" for number in range(count)]


async def all_ran_once(station: Station, count: int, *, within: float = SOON) -> None:
    await station.finished(count, within=within)
    assert Counter(station.ran) == Counter(station.completed) == Counter(jobs(count))
    assert station.failed == station.stalled == []
    assert await station.redis.keys(station.key("*:lock")) == []


@pytest.mark.parametrize("arrives", [0, 40, 1_500])
async def test_a_batch_whose_fetch_was_never_answered_is_worked_on_soon_once_and_in_its_order(
    station: Station, proxy: Proxy, arrives: int
) -> None:
    await station.add(*range(25))
    lost = proxy.lose_reply("take_jobs", after=arrives)
    station.start(**IN_BATCHES)
    await asyncio.wait_for(lost.wait(), 5)
    await all_ran_once(station, 25)
    assert station.ran == jobs(25)


async def test_a_fetch_of_a_batch_that_never_reached_the_server_is_made_again(station: Station, proxy: Proxy) -> None:
    await station.add(*range(25))
    lost = proxy.lose_request("take_jobs")
    station.start(**IN_BATCHES)
    await asyncio.wait_for(lost.wait(), 5)
    await all_ran_once(station, 25)


@pytest.mark.parametrize("arrives", [0, 5, 40])
@pytest.mark.parametrize("kept", [False, True])
async def test_completions_of_a_batch_that_were_never_answered_are_made_once_and_told_of(
    station: Station, proxy: Proxy, arrives: int, kept: bool
) -> None:
    await station.add(*range(25), removeOnComplete=not kept)
    lost = proxy.lose_reply("complete_jobs", after=arrives)
    station.start(**IN_BATCHES)
    await asyncio.wait_for(lost.wait(), 5)
    await until(lambda: len(station.completed) == 25, within=SOON)
    assert Counter(station.ran) == Counter(station.completed) == Counter(jobs(25))
    assert station.failed == station.stalled == []
    events = [fields for _, fields in await station.redis.xrange(station.key("events"))]
    told = Counter(fields["jobId"] for fields in events if fields["event"] == "completed")
    assert told == Counter(jobs(25))
    assert await station.redis.zcard(station.key("completed")) == (25 if kept else 0)


async def test_completions_of_a_batch_that_never_reached_the_server_are_sent_again(
    station: Station, proxy: Proxy
) -> None:
    await station.add(*range(25))
    lost = proxy.lose_request("complete_jobs")
    station.start(**IN_BATCHES)
    await asyncio.wait_for(lost.wait(), 5)
    await all_ran_once(station, 25)


@pytest.mark.parametrize(
    "scripts", [["take_jobs"], ["complete_jobs"], ["complete_jobs", "moveToFinished"]], ids="+".join
)
@pytest.mark.parametrize(
    "refusal", [b"LOADING dataset in memory", b"OOM command not allowed", b"READONLY a replica"], ids=bytes.decode
)
async def test_a_server_that_refuses_for_a_while_costs_no_job_and_repeats_none(
    station: Station, proxy: Proxy, scripts: list[str], refusal: bytes
) -> None:
    station.start(**IN_BATCHES)
    await station.idle()
    proxy.answers |= dict.fromkeys(scripts, refusal)
    await station.add(*range(25))
    await until(lambda: all(proxy.calls()[script] for script in scripts) and bool(station.errors + station.completed))
    proxy.answers.clear()
    await all_ran_once(station, 25)


async def test_forgotten_scripts_cost_no_job_of_a_batch_and_no_error(station: Station) -> None:
    await station.add(*range(200))
    station.start(**IN_BATCHES)
    for seen in range(0, 200, 20):
        await station.starts(seen)
        await station.redis.script_flush()
    await all_ran_once(station, 200)
    assert station.errors == []


async def test_a_job_that_was_taken_while_its_completion_was_refused_is_not_told_of(
    station: Station, proxy: Proxy
) -> None:
    may_end = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await may_end.wait()

    await station.add(*range(4))
    station.start(wait, **IN_BATCHES)
    await station.starts(4)
    proxy.answers |= dict.fromkeys(["complete_jobs", "moveToFinished"], b"OOM command not allowed")
    may_end.set()
    await until(lambda: bool(station.errors))
    await station.redis.lrem(station.key("active"), 0, "job-1")  # another worker had it, and has ended it
    await station.redis.delete(station.key("job-1:lock"))
    proxy.answers.clear()
    await until(lambda: any("job-1 is not ours" in str(error) for error in station.errors))
    await until(lambda: len(station.completed) == 3)
    assert sorted(station.completed) == ["job-0", "job-2", "job-3"]


@pytest.mark.parametrize("seed", range(3))  # each is a sequence of breaks, the same in every run
async def test_on_a_network_that_breaks_all_the_time_every_job_of_every_batch_runs_once(
    station: Station, proxy: Proxy, seed: int
) -> None:
    chance = random.Random(seed)

    async def take_a_moment(job: Any, token: str) -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)

    await station.add(*range(150))
    station.start(take_a_moment, batch=5, concurrency=12)
    for seen in range(10, 150, 10):
        await station.starts(seen)
        match chance.randrange(4):
            case 0:
                proxy.cut()
            case 1:
                proxy.lose_reply("complete_jobs", after=chance.randrange(50))
            case 2:
                proxy.lose_request("complete_jobs")
            case 3:
                proxy.lose_reply("take_jobs", after=chance.randrange(2_000))
    await all_ran_once(station, 150, within=20)
