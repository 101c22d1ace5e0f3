"""Connections that break, are refused or fall silent, and markers that somebody takes away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.faults.proxy import BLOCKING, COMMANDS, Proxy
from engine.faults.station import HEALED, Station, until
from support.workshop import PUNCTUAL, Stalls, eventually
from tidings.engine.redis import connect
from tidings.engine.worker import pipeline, waiting


async def test_a_worker_goes_on_when_each_of_its_connections_breaks(station: Station, proxy: Proxy) -> None:
    station.start()
    for number, kind in enumerate((COMMANDS, BLOCKING, None)):
        await station.idle()
        proxy.cut(kind)
        await station.add(number)
        await station.finished(number + 1, within=3)
    assert station.ran == ["job-0", "job-1", "job-2"]


async def test_jobs_that_end_while_the_server_is_out_of_reach_are_completed_later_and_not_repeated(
    station: Station, proxy: Proxy
) -> None:
    may_end = asyncio.Event()

    async def wait(job: Any, token: str) -> None:
        await may_end.wait()

    await station.add(1, 2, 3, 4)
    station.start(wait, concurrency=2)
    await station.starts(2)
    proxy.refuse()
    proxy.cut()
    may_end.set()
    async with station.unhurried():
        await until(lambda: len(station.processed) == 2 and proxy.refused >= 3)
    proxy.refuse(False)
    await station.finished(4)
    assert sorted(station.ran) == sorted(station.completed) == ["job-1", "job-2", "job-3", "job-4"]


async def test_a_worker_rests_while_a_job_is_due_and_its_server_is_out_of_reach(
    station: Station, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    start = waiting.Waiting.start

    def counted(self: waiting.Waiting, *, has_room: bool) -> None:
        nonlocal looks
        looks += 1
        start(self, has_room=has_room)

    monkeypatch.setattr(waiting.Waiting, "start", counted)
    due = time.time() + 0.2
    await station.add(1, delay=200)
    station.start()
    await station.idle()
    proxy.refuse()
    proxy.cut()
    await until(lambda: time.time() > due and proxy.refused >= 5)
    assert looks < 5_000  # those before the due moment; without rest as many come every 100 ms
    proxy.refuse(False)
    await station.finished(1)


@pytest.mark.parametrize("force", [True, False])
async def test_a_worker_closes_soon_though_its_server_is_out_of_reach(
    station: Station, proxy: Proxy, force: bool
) -> None:
    worker = station.start()
    await station.idle()
    proxy.refuse()
    proxy.cut()
    await until(lambda: proxy.refused >= 3)
    await asyncio.wait_for(worker.close(force=force), 3)
    assert worker.closed


@pytest.mark.parametrize("force", [True, False])
async def test_a_worker_closes_soon_though_its_server_has_fallen_silent(
    station: Station, proxy: Proxy, force: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PATIENCE", 0.5)
    worker = station.start()
    await station.idle()
    proxy.freeze()
    await asyncio.wait_for(worker.close(force=force), 3)
    assert worker.closed


async def test_a_silent_command_connection_is_given_up_and_work_goes_on(
    station: Station, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PATIENCE", 0.5)
    station.start()
    await station.idle()
    (silent,) = proxy.freeze(COMMANDS)
    await station.add(1)
    await station.finished(1)
    assert station.ran == ["job-1"]
    assert proxy.open_links(COMMANDS)[-1] is not silent


@pytest.mark.timing
async def test_a_silent_blocking_connection_is_given_up_and_work_is_prompt_again(
    station: Station, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "PATIENCE", 0.3)
    monkeypatch.setattr(waiting, "LISTEN", 0.5)
    station.start()
    await station.idle()
    (silent,) = proxy.freeze(BLOCKING)
    await station.add(1)
    await station.finished(1)
    await until(lambda: proxy.open_links(BLOCKING)[-1] is not silent)
    await station.idle()
    with Stalls(station.url) as stalls:
        added = time.time()
        await station.add(2)
        await station.finished(2)
        started = station.started[-1]
        assert started - added - stalls.between(added, started) < PUNCTUAL
    assert station.ran == ["job-1", "job-2"]


def test_silence_is_noticed_well_before_a_lock_expires() -> None:
    assert pipeline.PATIENCE + waiting.LISTEN < HEALED


@asynccontextmanager
async def marker_thief(station: Station) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Somebody who waits for the marker before any worker does, takes it and is gone."""
    thief = connect(station.url)

    async def steal() -> object:
        return await thief.bzpopmin(station.key("marker"), 0)

    async def waits() -> bool:
        clients: Any = await station.redis.client_list()
        return any(client["cmd"] == "bzpopmin" for client in clients)

    async def has_stolen() -> None:
        assert await asyncio.wait_for(stealing, 1)
        await thief.aclose()

    stealing = asyncio.create_task(steal())
    await eventually(waits)
    try:
        yield has_stolen
    finally:
        stealing.cancel()
        await thief.aclose()


async def test_a_marker_that_vanished_with_its_holder_costs_at_most_a_look_around(station: Station) -> None:
    async with marker_thief(station) as has_stolen:
        station.start()
        await station.idle()
        added = time.monotonic()
        await station.add(1)
        await has_stolen()
        await station.finished(1)
        assert time.monotonic() - added < 2.5


@pytest.mark.timing
async def test_a_job_due_later_is_on_time_though_its_marker_vanished(station: Station) -> None:
    async with marker_thief(station) as has_stolen:
        station.start()
        await station.idle()
        with Stalls(station.url) as stalls:
            due = time.time() + 2.6
            await station.add(1, delay=2_600)
            await has_stolen()
            await station.finished(1)
            started = station.started[0]
            assert started - due >= -0.001
            assert started - due - stalls.between(due, started) < PUNCTUAL
