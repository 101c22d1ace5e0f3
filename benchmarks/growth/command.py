"""`python -m benchmarks growth`: whether an operation costs more when there are many messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Annotated

import asyncpg
import typer

from benchmarks.contestants.tidings import TidingsContestant
from benchmarks.growth.filling import fill
from benchmarks.growth.operations import Found, Operations
from benchmarks.results import Line, Result, Table, finish
from benchmarks.stage import Stage, open_stage
from tidings.cli.output import open_console
from tidings.cli.running import run

PEOPLE = 1000
SIZES = (1_000, 100_000)
LARGE = 1_000_000


def growth(
    large: Annotated[bool, typer.Option("--large", help="A million messages as well.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; every size has a turn in each.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="How often a short operation is done in a round.")] = 30,
) -> None:
    """Times operations beside a thousand messages and beside many, on PostgreSQL."""
    console = open_console()
    say = partial(console.print, style="dim", soft_wrap=True)
    finish(console, run(_measure((*SIZES, LARGE) if large else SIZES, rounds, repeats, say)))


async def _measure(sizes: Sequence[int], rounds: int, repeats: int, say: Callable[[str], None]) -> Result:
    found: dict[int, list[Found]] = defaultdict(list)
    async with open_stage(say) as stage:
        contestant = TidingsContestant("PostgreSQL")
        await contestant.prepare(stage, PEOPLE)
        for number in range(1, rounds + 1):
            for size in sizes:
                say(f"round {number} of {rounds}: {size:,} messages")
                found[size].append(await _measure_size(stage, contestant, size, repeats))
        versions = {**stage.versions, contestant.key: contestant.version()}
    tables = [
        _table("Time of one operation", "ms", {size: [one.time for one in rounds] for size, rounds in found.items()}),
        _table(
            "CPU of one operation, of the program, PostgreSQL and Redis together",
            "ms",
            {size: [one.cpu for one in rounds] for size, rounds in found.items()},
        ),
    ]
    return Result("growth", {"sizes": list(sizes), "rounds": rounds, "repeats": repeats}, versions, tables)


async def _measure_size(stage: Stage, contestant: TidingsContestant, size: int, repeats: int) -> Found:
    await stage.clear()
    async with contestant.installed(stage, concurrency=50) as installation:
        # One message that waits and one that was sent are what the others are copies of.
        await installation.start_worker()
        now = datetime.now(UTC)
        await installation.schedule([(now + timedelta(days=1)).timestamp(), now.timestamp()])
        await stage.sink.wait_for(1, within=30, sender=installation.worker)
        await installation.worker.end()
        session = await asyncpg.connect(installation.tidings.app.settings.database)
        try:
            await fill(session, size, PEOPLE)
        finally:
            await session.close()
        await installation.tidings.app.recovery.rebuild()
        return await Operations(stage, installation, people=PEOPLE, repeats=repeats).measure()


def _table(title: str, unit: str, values: dict[int, list[dict[str, float]]]) -> Table:
    """A line for each operation; the last columns say how many times the first size's value it is."""
    first, *others = values
    columns = {f"{size:,}": unit for size in values} | {f"{size:,} / {first:,}": "×" for size in others}
    lines = []
    for name in values[first][0]:
        samples = {f"{size:,}": [one[name] for one in rounds] for size, rounds in values.items()}
        base = samples[f"{first:,}"]
        for size in others:
            ratios = [more / one for more, one in zip(samples[f"{size:,}"], base, strict=True)]
            samples[f"{size:,} / {first:,}"] = [median(ratios)]
        lines.append(Line(name, samples))
    return Table(title, columns, lines)
