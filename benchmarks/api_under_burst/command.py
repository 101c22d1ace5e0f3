"""`python -m benchmarks starvation`: the waits for `tidings up`'s answers, without and with a burst of messages."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.engine.report import percentile
from tidings import log
from tidings.app import App
from tidings.cli.demo.rehearsal import OFFLINE
from tidings.cli.output import new_table, open_console
from tidings.cli.running import run
from tidings.features.events.people_import import import_people
from tidings.messages.contacts.files.people_file import read_people
from tidings.registry import load

PATHS = ("/health", "/event-messages?limit=50")
EACH = 10  # messages of one person
ASKED_EVERY = 0.02
PREPARED_PER_SECOND = 250
"""Messages that are scheduled in a second at least, by whoever prepares the burst, and then some."""

Waits = dict[str, list[float]]
"""Milliseconds from a request to the last byte of its answer, by path."""


def starvation(
    messages: Annotated[int, typer.Option(min=100, help="Messages that are due at one moment.")] = 20_000,
    quiet: Annotated[float, typer.Option(min=1, help="Seconds that are measured before.")] = 10.0,
    as_json: Annotated[Path | None, typer.Option("--json", help="Also write every sample to this file.")] = None,
) -> None:
    """Times the answers of `tidings up` without and with a burst of messages. Takes about three minutes."""
    console = open_console()
    with tempfile.TemporaryDirectory(prefix="tidings-bench-") as folder, ExitStack() as stack:
        due = datetime.now(UTC) + timedelta(seconds=20 + quiet + messages / PREPARED_PER_SECOND)
        run(_schedule(Path(folder), messages, due))
        sink = stack.enter_context(_sink())
        api, process = stack.enter_context(_up(Path(folder), sink))
        left = (due - datetime.now(UTC)).total_seconds()
        console.print(f"{messages:,} messages are due in {left:.0f} s.", style="dim")
        time.sleep(max(left - quiet - 1, 0))  # until what a start takes is done
        before = _ask(api, lambda: datetime.now(UTC) < due - timedelta(seconds=1))
        while not _taken(sink):
            time.sleep(0.01)
        began, cpu = time.monotonic(), _cpu(process)
        during = _ask(api, lambda: _taken(sink) < messages)
        took, cpu = time.monotonic() - began, _cpu(process) - cpu
    print_waits(console, before, during)
    console.print(f"{messages / took:.0f} messages a second left; one took {cpu / messages * 1e6:.0f} µs of CPU.")
    if as_json:
        as_json.write_text(json.dumps({"quiet": before, "burst": during}, indent=2) + "\n")


def print_waits(console: Console, before: Waits, during: Waits) -> None:
    """A table for a person."""
    table = new_table(console, "ms", "", "asked", "p50", "p99", "max", right=("asked", "p50", "p99", "max"))
    for path in PATHS:
        for name, waits in (("quiet", before[path]), ("burst", during[path])):
            figures = (percentile(waits, 50), percentile(waits, 99), max(waits))
            table.add_row(path, name, str(len(waits)), *(f"{figure:.1f}" for figure in figures))
    console.print(table)


async def _schedule(folder: Path, messages: int, due: datetime) -> None:
    log.configure(level="CRITICAL")
    lines = [f"Ada {number},+1810{2_000_000 + number}" for number in range(-(-messages // EACH))]
    people = read_people("\n".join(["name,phone", *lines]), source="people").people
    async with App(load(**{**OFFLINE, "data_dir": folder}), migrate=True) as app:
        await import_people(app.work, people)
        event = await app.events.create_event({"name": "Expo", "date": due.date().isoformat(), "timezone": "UTC"})
        for start in range(0, messages, 5000):
            await app.events.schedule_bulk_event_messages(
                [_message(event.id, number, due) for number in range(start, min(start + 5000, messages))]
            )


def _message(event_id: int, number: int, due: datetime) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "contractor_id": number // EACH + 1,
        "message_type": "sponsor_recommendation",
        "scheduled_time": due.isoformat(),
        "session_key": f"s{number % EACH}",
        "message_content": "Hi {{ first_name }}, meet our sponsors",
    }


@contextmanager
def _sink() -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def _up(folder: Path, sink: int) -> Iterator[tuple[HTTPConnection, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {
        "TIDINGS_DATA_DIR": str(folder),
        "TIDINGS_LOG_LEVEL": "error",
        "EVENT_MESSAGES_RATE_LIMIT": "off",
        "N8N_OUTBOUND_WEBHOOK_URL": f"http://127.0.0.1:{sink}/",
    }
    command = [sys.executable, "-m", "tidings", "up", "--port", str(port)]
    environment = {**os.environ, "DATABASE_URL": "", "REDIS_URL": "", **variables}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            if "listens" not in (said := process.stderr.readline()):
                raise RuntimeError(f"tidings up does not start: {said}")
            with closing(HTTPConnection("127.0.0.1", port)) as api:
                yield api, process.pid
        finally:
            process.terminate()
            process.communicate()


def _ask(api: HTTPConnection, goes_on: Callable[[], bool]) -> Waits:
    """Asks one path after the other, one request at a time and at a steady pace, as long as `goes_on`."""
    waits: Waits = {path: [] for path in PATHS}
    while goes_on():
        for path in PATHS:
            began = time.perf_counter()
            _get(api, path)
            wait = time.perf_counter() - began
            waits[path].append(wait * 1000)
            time.sleep(max(ASKED_EVERY - wait, 0))
    return waits


def _taken(sink: int) -> int:
    with closing(HTTPConnection("127.0.0.1", sink)) as connection:
        return int(_get(connection, "/"))


def _get(connection: HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {body!r}")
    return body


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has had; 0 where there is no /proc."""
    stat = Path(f"/proc/{pid}/stat")
    fields = stat.read_text().rpartition(")")[2].split() if stat.exists() else ["0"] * 13
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
