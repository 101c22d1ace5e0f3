"""`python -m benchmarks disturbance`: how late lone messages are while somebody changes a great deal."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from benchmarks.disturbance.changes import BY_WORKERS, CHANGES, Scene, Sizes
from benchmarks.disturbance.elsewhere import make_for
from benchmarks.disturbance.lone import Lone, Provider
from benchmarks.engine.report import percentile
from benchmarks.results import Line, Result, Table, finish
from benchmarks.stage import Stage, open_stage
from tidings.app import App
from tidings.cli.demo.rehearsal import OFFLINE
from tidings.cli.output import open_console
from tidings.cli.running import run, settle
from tidings.errors import ConfigurationError, TidingsError
from tidings.registry import load

DATABASES = ("postgresql", "sqlite")
HERE, ELSEWHERE = "same process", "another process"
RATE = 20.0
QUIET = 1.5  # seconds between scheduling and the first message, and between that and the change
REST = 4.0  # seconds of lone messages after the last change has begun: one takes as long as it takes
SCHEDULED_PER_SECOND = 40  # lone messages, one by one, at least
PATIENCE = 20.0  # seconds until a message is lost
COLUMNS = {"p50": "ms", "p99": "ms", "latest": "ms", "one takes": "ms", "messages": ""}

Spells = list[tuple[float, float]]


def disturbance(
    seconds: Annotated[float, typer.Option(min=0.5, help="For how long each change is made again and again.")] = 5.0,
    only: Annotated[str, typer.Option(help=f"Changes, separated by commas, of: {', '.join(CHANGES)}.")] = "",
    on: Annotated[str, typer.Option(help="Databases, separated by commas.")] = ",".join(DATABASES),
    elsewhere: Annotated[bool, typer.Option(help="Also with changes made by another process.")] = True,
    scale: Annotated[float, typer.Option(min=0.001, help="How large the changes are, 1 for the usual size.")] = 1.0,
) -> None:
    """Times messages to other people while agendas move, people are imported, shops are erased …"""
    names = _chosen(only, tuple(CHANGES))
    databases = _chosen(on, DATABASES)
    sizes = Sizes(**{name: max(1, int(size * scale)) for name, size in asdict(Sizes()).items()})
    places = (HERE, ELSEWHERE) if elsewhere else (HERE,)
    console = open_console()
    say = partial(console.print, style="dim", soft_wrap=True)
    finish(console, run(_measure(names, databases, places, sizes, seconds, say)))


def _chosen(words: str, known: Sequence[str]) -> list[str]:
    """Raises ConfigurationError."""
    names = [one for word in words.split(",") if (one := word.strip())]
    for name in names:
        if name not in known:
            raise ConfigurationError(f"there is no {name!r}. Choose from {', '.join(known)}.")
    return names or list(known)


async def _measure(
    names: Sequence[str],
    databases: Sequence[str],
    places: Sequence[str],
    sizes: Sizes,
    seconds: float,
    say: Callable[[str], None],
) -> Result:
    tables: list[Table] = []
    failures: list[str] = []
    async with open_stage(say) as stage:
        for database in databases:
            lines = []
            for number, name in enumerate(names):
                for place in places:
                    if place == ELSEWHERE and name in BY_WORKERS:
                        continue
                    say(f"{database}, {place}: {name}")
                    try:
                        found = await _one(stage, database, place, name, number, sizes, seconds)
                    except TidingsError as error:
                        failures.append(f"{database}, {place}, {name}: {error}")
                        say(failures[-1])
                        continue
                    label = name if place == HERE else f"{name}, by {place}"
                    lines.append(Line(label, {column: [value] for column, value in found.items()}))
            title = f"{database}: lateness of messages to others that were due while this was done"
            tables.append(Table(title, COLUMNS, lines))
        versions = stage.versions
    plan = {"seconds": seconds, "rate": RATE, **asdict(sizes)}
    return Result("disturbance", plan, versions, tables, failures)


async def _one(
    stage: Stage, database: str, place: str, name: str, number: int, sizes: Sizes, seconds: float
) -> dict[str, float]:
    """A new database and one change: the figures of one line in one place."""
    await stage.clear()
    folder = stage.folder / f"{database}-{place}-{number}".replace(" ", "-")
    folder.mkdir()
    on_postgres = database == "postgresql"
    address = await stage.postgres.create() if on_postgres else f"sqlite:///{folder / 'tidings.db'}"
    settings: dict[str, Any] = {
        **OFFLINE,
        "database_url": address,
        "redis_url": stage.redis.url,
        "data_dir": str(folder),
        "quiet_hours": "off",
        "frequency_caps": "1000/1d",
    }
    try:
        provider = Provider()
        unlimited = {"EVENT_MESSAGES_RATE_LIMIT": "off", "CONTRACTOR_FOLLOWUPS_RATE_LIMIT": "off"}
        async with App(load(**settings), providers={"sms": provider}, migrate=True, queue_settings=unlimited) as app:
            lone = Lone(app, provider)
            await lone.prepare()
            making = _here(app, name, sizes) if place == HERE else _elsewhere(settings, name, sizes)
            async with making as make:
                await app.start_workers()
                settle()
                span = QUIET + seconds + REST
                first = time.time() + QUIET + span * RATE / SCHEDULED_PER_SECOND
                dues = await lone.schedule(first, span, RATE)
                await asyncio.sleep(first + QUIET - time.time())
                spells = await make(seconds)
            late = await lone.lateness(dues, spells, PATIENCE)
    finally:
        if on_postgres:
            await stage.postgres.drop(address)
    if not late:
        raise TidingsError("it was over before a message was due")
    took = sum(ended - began for began, ended in spells) / len(spells)
    return {
        "p50": percentile(late, 50),
        "p99": percentile(late, 99),
        "latest": late[-1],
        "one takes": took * 1000,
        "messages": float(len(late)),
    }


@asynccontextmanager
async def _here(app: App, name: str, sizes: Sizes) -> AsyncIterator[Callable[[float], Any]]:
    change = CHANGES[name](Scene(app, 1, sizes))
    try:
        await anext(change)
        yield partial(make_for, change)
    finally:
        await change.aclose()


@asynccontextmanager
async def _elsewhere(settings: dict[str, Any], name: str, sizes: Sizes) -> AsyncIterator[Callable[[float], Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.disturbance.elsewhere"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told, heard = process.stdin, process.stdout

    async def make(seconds: float) -> Spells:
        told.write(f"{seconds}\n".encode())
        return [(began, ended) for began, ended in json.loads(await heard.readline())]

    try:
        words = {"settings": settings, "change": name, "number": 1, "sizes": asdict(sizes)}
        told.write(json.dumps(words).encode() + b"\n")
        if await heard.readline() != b"ready\n":
            raise TidingsError("the other process failed")
        yield make
    finally:
        told.close()
        if process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()
