"""`python -m benchmarks growth`: whether an operation costs more when there are many messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Annotated

import asyncpg
import typer

from benchmarks.contestants.tidings import TidingsContestant
from benchmarks.growth.filling import fill
from benchmarks.growth.operations import OPERATIONS, Cost, Full
from benchmarks.results import Line, Result, Table, finish
from benchmarks.stage import Stage, open_stage
from tidings.cli.output import open_console
from tidings.cli.running import run

PEOPLE = 1000
SIZES = (1_000, 100_000)
LARGE = 1_000_000

Costs = dict[str, dict[int, list[Cost]]]
"""By operation and size, one a round."""


def growth(
    large: Annotated[bool, typer.Option("--large", help="A million messages as well.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; every size has a turn in each.")] = 5,
) -> None:
    """Times operations beside a thousand messages and beside many, on PostgreSQL."""
    console = open_console()
    say = partial(console.print, style="dim", soft_wrap=True)
    finish(console, run(_measure((*SIZES, LARGE) if large else SIZES, rounds, say)))


async def _measure(sizes: Sequence[int], rounds: int, say: Callable[[str], None]) -> Result:
    costs: Costs = defaultdict(lambda: defaultdict(list))
    async with open_stage(say) as stage, AsyncExitStack() as stack:
        contestant = TidingsContestant("PostgreSQL")
        await contestant.prepare(stage, PEOPLE)
        await stage.clear()
        full = {size: await stack.enter_async_context(_full(stage, contestant, size)) for size in sizes}
        for number in range(rounds + 1):
            say(f"round {number} of {rounds}" if number else "a round that pays for what is only loaded once")
            for size, one in full.items():
                for name, operation in OPERATIONS.items():
                    cost = await operation(one)
                    if number:
                        costs[name][size].append(cost)
        versions = {**stage.versions, contestant.key: contestant.version()}
    tables = [
        _table("Time of one operation beside so many messages", costs, lambda cost: cost.time),
        _table("CPU of one operation, of the program, PostgreSQL and Redis together", costs, lambda cost: cost.cpu),
    ]
    return Result("growth", {"sizes": list(sizes), "rounds": rounds}, versions, tables)


@asynccontextmanager
async def _full(stage: Stage, contestant: TidingsContestant, size: int) -> AsyncIterator[Full]:
    """An installation with so many messages and lines of the ledger, and a job for each message."""
    stage.say(f"{size:,} messages")
    async with contestant.installed(stage, concurrency=50, prefix=f"of-{size}") as installation:
        # One message that waits and one that was sent are what the others are copies of.
        await installation.start_worker()
        now = datetime.now(UTC)
        await stage.sink.clear()
        await installation.schedule([(now + timedelta(days=1)).timestamp(), now.timestamp()])
        await stage.sink.wait_for(1, within=30, sender=installation.worker)
        await installation.worker.end()
        session = await asyncpg.connect(installation.tidings.app.settings.database)
        try:
            await fill(session, size, PEOPLE)
        finally:
            await session.close()
        await installation.tidings.app.recovery.rebuild()
        yield Full(stage, installation, PEOPLE)


def _table(title: str, costs: Costs, of: Callable[[Cost], float]) -> Table:
    """A line for each operation; the last columns say how many times the first size's value it is."""
    first, *others = next(iter(costs.values()))
    columns = {f"{size:,}": "ms" for size in (first, *others)} | {_ratio(size, first): "×" for size in others}
    lines = []
    for name, sizes in costs.items():
        samples: dict[str, list[float]] = {
            f"{size:,}": [of(cost) for cost in rounds] for size, rounds in sizes.items()
        }
        for size in others:
            pairs = zip(samples[f"{size:,}"], samples[f"{first:,}"], strict=True)
            samples[_ratio(size, first)] = [median(more / one for more, one in pairs)]
        lines.append(Line(name, samples))
    return Table(title, columns, lines)


def _ratio(size: int, first: int) -> str:
    return f"{size:,} / {first:,}"
