"""What work costs: few writes, one script a job, hardly anything when there is nothing to do."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from engine.faults.proxy import Proxy
from engine.faults.station import Station, until


async def test_jobs_that_end_together_are_completed_in_one_write(station: Station, proxy: Proxy) -> None:
    may_end = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await may_end.wait()

    await station.add(*range(50))
    station.start(wait, concurrency=50)
    await station.starts(50)
    may_end.set()
    await station.finished(50)
    writes = proxy.writes("moveToFinished")
    assert sum(writes) == 50
    assert len(writes) <= 2


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_a_steady_run_costs_one_script_a_job(station: Station, proxy: Proxy, concurrency: int) -> None:
    await station.add(*range(200))
    station.start(concurrency=concurrency)
    await station.finished(200)
    calls = proxy.calls()
    assert calls["moveToFinished"] == 200
    assert calls["moveToActive"] + calls["moveToFinished"] <= 200 + 2 * concurrency + 10


async def test_a_worker_never_holds_more_jobs_than_it_has_slots_for(station: Station, proxy: Proxy) -> None:
    async def take_a_moment(job: Any, token: str) -> None:
        await asyncio.sleep(0.001)

    active = []
    proxy.delay = 0.003  # time in which a worker could ask for too much
    station.start(take_a_moment, concurrency=7)
    await station.idle()
    await station.add(*range(300))
    while len(station.completed) < 300:
        active.append(await station.redis.llen(station.key("active")))
    await station.finished(300)
    assert 1 < max(active) <= 7


async def test_an_idle_worker_asks_about_once_a_second(station: Station, proxy: Proxy) -> None:
    station.start(concurrency=10)
    await station.idle()
    waits, asked, began = proxy.calls()["BZPOPMIN"], proxy.calls().total(), time.monotonic()
    await until(lambda: proxy.calls()["BZPOPMIN"] == waits + 1)
    assert (proxy.calls().total() - asked) / (time.monotonic() - began) <= 1.2
