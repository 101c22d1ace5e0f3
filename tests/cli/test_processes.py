"""`tidings worker --processes`: several real processes share the work, and nobody has to look after them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import bullmq
import pytest
from redis.asyncio import Redis

from events.test_crashes import all_ended, schedule_burst
from support.programs import Program, running, start_worker
from support.sink import Sink
from tidings.app import App
from tidings.engine.slots import IN_DOUBT
from tidings.messages.statuses import Status
from tidings.registry import load

OpenApp = Callable[..., Awaitable[App]]

IN_HAND = IN_DOUBT * 10
"""Event messages that one process may have handed over and not written down; when it dies they are offered again."""

QUICK = {"EVENT_MESSAGES_RATE_LIMIT": "off", "TIDINGS_LOG_LEVEL": "info"}


class Log:
    """What a program and its processes log, line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self, event: str) -> list[dict[str, Any]]:
        text = self.path.read_text() if self.path.exists() else ""
        found = [
            json.loads(line) for line in text.splitlines(keepends=True) if line.startswith("{") and line[-1] == "\n"
        ]
        return [line for line in found if line["event"] == event]

    async def wait_for(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        while len(lines := self.lines(event)) < count:
            await asyncio.sleep(0.02)
        return lines

    async def pids(self, count: int) -> list[int]:
        """The processes, once that many have been ready, in the order in which they were."""
        return [line["pid"] for line in await self.wait_for("worker process ready", count)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


def alone(log: Log, *arguments: str, **variables: str) -> Program:
    """Workers without anything set up: an embedded Valkey and SQLite, in the folder of the log."""
    return Program("worker", *arguments, variables=variables, folder=log.path.parent, output=log.path)


def has_valkey(log: Log) -> bool:
    return (log.path.parent / ".tidings" / "valkey" / "server.json").exists()


async def gone(pids: list[int], count: int | None = None) -> None:
    """Waits until that many of these processes, by default all, have ended, up to being collected by their parent."""
    while sum(map(_is_gone, pids)) < (len(pids) if count is None else count):
        await asyncio.sleep(0.02)


def _is_gone(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return state == "" or state.startswith("Z")


@pytest.mark.both_databases
async def test_two_processes_share_the_messages_and_send_each_once(
    open_app: OpenApp, database_url: str, log: Log
) -> None:
    app = await open_app(database_url=database_url)
    async with Sink() as sink:
        with running(start_worker(app, sink, output=log.path, TIDINGS_PROCESSES="2", **QUICK)) as program:
            await log.pids(2)
            event_id = await schedule_burst(app, 100, datetime.now(UTC))
            assert await all_ended(app, event_id) == {Status.SENT: 100}
            program.terminate()
            assert await program.ended() == 0
        assert (len(sink.taken), sum(sink.requests.values())) == (100, 100)
    done = {line["process"] for line in log.lines("messages recorded") if line["kind"] == "event-message"}
    assert done == {1, 2}


@pytest.mark.both_databases
async def test_a_killed_process_is_replaced_and_what_it_had_in_its_hands_is_sent(
    open_app: OpenApp, database_url: str, log: Log
) -> None:
    app = await open_app(database_url=database_url)
    async with Sink() as sink:
        with running(start_worker(app, sink, output=log.path, TIDINGS_PROCESSES="2", **QUICK)) as program:
            killed, kept = await log.pids(2)
            event_id = await schedule_burst(app, 150, datetime.now(UTC))
            await sink.wait_for(30)
            os.kill(killed, signal.SIGKILL)
            assert await all_ended(app, event_id) == {Status.SENT: 150}
            assert len(sink.taken) == 150
            assert sum(sink.requests.values()) - 150 <= IN_HAND
            successor = (await log.pids(3))[-1]
            assert await app.queues.count_workers("event-messages") == 2
            program.terminate()
            assert await program.ended() == 0
            await gone([killed, kept, successor])
    [death] = log.lines("worker process died")
    assert (death["process"], death["pid"], death["status"]) == (1, killed, "SIGKILL")


async def test_event_orchestration_runs_once_a_tick_however_many_processes_there_are(
    open_app: OpenApp, log: Log
) -> None:
    app = await open_app()

    def slots() -> list[int]:
        lines = [line for line in log.lines("job completed") if line["queue"] == "event-orchestration"]
        return [int(line["job_id"].rsplit(":", 1)[1]) for line in lines]

    async with Sink() as sink, Redis.from_url(app.redis_url, decode_responses=True) as redis:
        with running(start_worker(app, sink, output=log.path, TIDINGS_PROCESSES="2", **QUICK)):
            await log.wait_for("recovery ready", 2)  # from then on nobody changes the schedule
            while not slots():
                await asyncio.sleep(0.02)
            assert len(slots()) == 1, (
                "each process asks for the schedule when it starts, and only the first tick is due"
            )
            queue = bullmq.Queue("event-orchestration", {"connection": redis, "prefix": app.settings.redis_prefix})
            repeat = {"every": 250}  # a minute takes too long
            await queue.upsertJobScheduler("event-orchestration-every-minute", repeat, "orchestrate", {"data": {}})
            while len(slots()) < 9:
                await asyncio.sleep(0.02)
    ticks = slots()
    assert set(Counter(ticks).values()) == {1}
    assert {later - earlier for earlier, later in pairwise(ticks[2:8])} == {250}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_every_process_and_the_embedded_valkey(log: Log, stop: signal.Signals) -> None:
    with running(alone(log, "--processes", "2")) as program:
        pids = await log.pids(2)
        assert has_valkey(log)
        program.send_signal(stop)
        assert await program.ended() == 0
        await gone(pids)
    assert not has_valkey(log)
    assert log.lines("worker process died") == []


async def test_processes_whose_supervisor_is_killed_end_by_themselves_and_leave_nothing_behind(log: Log) -> None:
    program = alone(log, "--processes", "2")
    first, last = pids = await log.pids(2)
    os.kill(last, signal.SIGSTOP)
    program.kill()
    assert await program.ended() == -signal.SIGKILL
    await gone([first])  # it does not need the others to notice
    os.kill(last, signal.SIGCONT)
    await gone(pids)
    assert not has_valkey(log)


async def test_a_second_signal_ends_processes_that_wait_for_a_job_and_the_embedded_valkey(log: Log) -> None:
    taken = asyncio.Event()

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await reader.read()  # until the process is gone
        writer.close()

    async with await asyncio.start_server(never_answers, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        variables = {"N8N_OUTBOUND_WEBHOOK_URL": url, "TIDINGS_HTTP_TIMEOUT": "60", "TIDINGS_LOG_LEVEL": "info"}
        with running(alone(log, "--processes", "2", **variables)) as program:
            pids = await log.pids(2)
            async with App(load(data_dir=log.path.parent / ".tidings")) as app:
                await schedule_burst(app, 1, datetime.now(UTC))
            await taken.wait()
            program.send_signal(signal.SIGTERM)
            await gone(pids, 1)
            program.send_signal(signal.SIGTERM)
            assert await program.ended() == 128 + signal.SIGKILL
            await gone(pids)
    assert not has_valkey(log)
    assert len(log.lines("worker processes ended by force")) == 1


SUPERVISED = """
import asyncio, os, sys
from tidings import log
from tidings.cli.processes import Supervisor
from tidings.cli.running import stop_signal
from tidings.errors import ConfigurationError

async def work(link, number):
    stop = stop_signal()
    link.attach(stop)
    {work}
    link.say_ready()
    {rest}
    await stop.wait()

log.configure(json=True)
supervisor = Supervisor(2, first_wait=0.01)
if link := supervisor.run():
    with open("starts", "a") as file:
        file.write("x")
    asyncio.run(work(link, os.path.getsize("starts")))
else:
    try:
        sys.exit(supervisor.exit_status())
    except ConfigurationError as error:
        sys.exit(f"error: {{error}}")
"""
"""A program whose processes do {work} before they are ready and {rest} afterwards; `number` counts their starts."""


def supervised(folder: Path, *, work: str = "pass", rest: str = "pass") -> subprocess.Popen[str]:
    program = SUPERVISED.format(work=work, rest=rest)
    return subprocess.Popen([sys.executable, "-c", program], cwd=folder, stderr=subprocess.PIPE, text=True)


def logged(error: str, event: str, value: str) -> list[Any]:
    lines = [json.loads(line) for line in error.splitlines() if line.startswith("{")]
    return [line[value] for line in lines if line["event"] == event]


def test_a_process_that_cannot_start_keeps_the_others_from_it_and_its_status_is_the_commands(tmp_path: Path) -> None:
    program = supervised(tmp_path, work="sys.exit('error: no such queue')")
    error = program.communicate()[1]
    assert (program.returncode, error) == (1, "error: no such queue\n")


def test_when_processes_cannot_be_replaced_the_others_end_too_and_a_sentence_says_so(tmp_path: Path) -> None:
    program = supervised(tmp_path, work="number > 2 and os._exit(3)", rest="number == 2 and os._exit(4)")
    error = program.communicate()[1]
    assert program.returncode == 1
    assert error.splitlines()[-1].startswith("error: 5 worker processes in a row ended before they were ready")
    assert logged(error, "worker process died", "status") == ["4", "3", "3", "3", "3"]
    assert (tmp_path / "starts").read_text() == "x" * 7


def test_the_waits_for_the_next_process_grow_while_each_dies_soon(tmp_path: Path) -> None:
    program = supervised(
        tmp_path, rest="if 2 <= number <= 6: os._exit(1)\n    if number == 7: os.kill(os.getppid(), 15)"
    )
    error = program.communicate()[1]
    assert program.returncode == 0
    assert logged(error, "worker process died", "next_in_s") == [0.01, 0.02, 0.04, 0.08, 0.16]
