"""SIGTERM ends a process within its grace, whatever hangs, and what hung is said."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from messages.due_messages import message_to, person_of
from support.postgres_proxy import PostgresProxy
from support.programs import Program, running, start_worker
from support.servers import free_port, frozen, own_valkey
from support.sink import Sink
from tidings.app import App

OpenApp = Callable[..., Awaitable[App]]

GRACE = 4.0
"""Seconds that a process has here."""

pytestmark = pytest.mark.timing


class Silent(Sink):
    """A provider that takes what it is sent and never answers."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        async with self._arrived:
            self.taken[str(len(self.taken))] = {}
            self._arrived.notify_all()
        await reader.read()
        writer.close()


def logged(output: Path) -> list[dict[str, Any]]:
    lines = output.read_text().splitlines() if output.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


async def until_logged(output: Path, event: str) -> dict[str, Any]:
    while not (found := [line for line in logged(output) if event in line["event"]]):
        await asyncio.sleep(0.02)
    return found[0]


async def ends(program: Program, output: Path) -> float:
    """Asks it to end, and returns after how many seconds it did; what has to be said then was."""
    began = time.monotonic()
    program.send_signal(signal.SIGTERM)
    status = await program.ended()
    took = time.monotonic() - began
    forced = [line for line in logged(output) if "ended by force" in line["event"]]
    print(f"ended after {took:.1f} s with status {status} {[line['hangs'] for line in forced]}")
    assert took < GRACE + 1.0
    assert status == (1 if forced else 0)
    assert all(line["hangs"] for line in forced)
    return took


@asynccontextmanager
async def working(app: App, sink: Sink, output: Path, *arguments: str, **variables: str) -> AsyncIterator[Program]:
    """A worker that is ready."""
    variables = {"TIDINGS_STOP_GRACE": str(GRACE), "TIDINGS_LOG_LEVEL": "info", **variables}
    with running(start_worker(app, sink, output=output, **variables)) as program:
        await until_logged(output, "recovery ready")
        yield program


async def due(app: App, count: int = 30, *, in_seconds: float = 0.0) -> None:
    person = await person_of(app)
    for _ in range(count):
        await message_to(app, person, scheduled_time=app.clock.after(in_seconds).isoformat())


async def test_a_silent_database_keeps_no_worker_from_ending(
    open_app: OpenApp, new_postgres_database: Callable[[], str], tmp_path: Path
) -> None:
    address, output = new_postgres_database(), tmp_path / "log"
    app = await open_app(database_url=address)
    async with (
        Sink() as sink,
        PostgresProxy(address) as proxy,
        working(app, sink, output, DATABASE_URL=proxy.url) as program,
    ):
        proxy.fall_silent()
        await due(app)
        while not (await app.queues.stats("event-messages")).active:
            await asyncio.sleep(0.01)
        await ends(program, output)


async def test_a_locked_database_file_keeps_no_worker_from_ending(
    open_app: OpenApp, migrated_sqlite: Path, tmp_path: Path
) -> None:
    file, output = tmp_path / "tidings.db", tmp_path / "log"
    shutil.copy(migrated_sqlite, file)
    app = await open_app(database_url=f"sqlite:///{file}")
    async with Sink() as sink, working(app, sink, output) as program:
        await due(app, in_seconds=1.0)
        with closing(sqlite3.connect(file)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            while not (await app.queues.stats("event-messages")).active:
                await asyncio.sleep(0.01)
            await ends(program, output)


async def test_a_silent_provider_keeps_no_worker_from_ending(
    open_app: OpenApp, database_url: str, tmp_path: Path
) -> None:
    app, output = await open_app(database_url=database_url), tmp_path / "log"
    async with Silent() as sink, working(app, sink, output, TIDINGS_HTTP_TIMEOUT="600") as program:
        await due(app)
        await sink.wait_for(5)
        await ends(program, output)


async def test_a_frozen_redis_keeps_no_worker_from_ending(
    open_app: OpenApp, database_url: str, tmp_path: Path
) -> None:
    with own_valkey(config={"maxmemory-policy": "noeviction"}) as server:
        app = await open_app(database_url=database_url, redis_url=f"redis://127.0.0.1:{server.port}/0")
        output = tmp_path / "log"
        async with Sink() as sink, working(app, sink, output) as program:
            await due(app, in_seconds=0.5)
            with frozen(server):
                await ends(program, output)


@pytest.mark.parametrize("hangs", ["database", "embedded redis"])
async def test_whatever_hangs_keeps_nobody_from_ending_who_serves_and_works(
    hangs: str, new_postgres_database: Callable[[], str], tmp_path: Path
) -> None:
    output, port = tmp_path / "log", free_port()
    async with PostgresProxy(new_postgres_database()) as proxy:
        variables = {
            "TIDINGS_DATA_DIR": str(tmp_path / "data"),
            "DATABASE_URL": proxy.url,
            "TIDINGS_STOP_GRACE": str(GRACE),
        }
        with running(Program("up", "--port", str(port), variables=variables, output=output)) as program:
            await until_logged(output, "recovery ready")
            pid = json.loads((tmp_path / "data" / "valkey" / "server.json").read_text())["pid"]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                if hangs == "database":
                    proxy.fall_silent()
                    asking = asyncio.create_task(client.get("/contractors/1/follow-ups"))
                    await ends(program, output)
                    await asyncio.gather(asking, return_exceptions=True)
                else:
                    os.kill(pid, signal.SIGSTOP)
                    try:
                        await ends(program, output)
                    finally:
                        os.kill(pid, signal.SIGCONT)
                        os.kill(pid, signal.SIGKILL)


async def test_a_silent_database_keeps_no_process_of_several_from_ending(
    open_app: OpenApp, new_postgres_database: Callable[[], str], tmp_path: Path
) -> None:
    address, output = new_postgres_database(), tmp_path / "log"
    app = await open_app(database_url=address)
    async with (
        Sink() as sink,
        PostgresProxy(address) as proxy,
        working(app, sink, output, DATABASE_URL=proxy.url, TIDINGS_PROCESSES="2") as program,
    ):
        while len([line for line in logged(output) if line["event"] == "worker process ready"]) < 2:
            await asyncio.sleep(0.02)
        proxy.fall_silent()
        await due(app)
        await ends(program, output)
