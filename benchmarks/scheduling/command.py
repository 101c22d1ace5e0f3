"""`python -m benchmarks scheduling`: many messages at once, by Tidings and by Node's addBulk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from benchmarks.contestants.all import NODE, contestants
from benchmarks.contestants.base import Contestant
from benchmarks.results import Result, Table, finish
from benchmarks.rounds import take_turns
from benchmarks.scheduling.bulk import COLUMNS, WARM_UP, measure_scheduling
from benchmarks.stage import open_stage
from tidings.cli.output import open_console
from tidings.cli.running import run

EVERYBODY = "tidings-postgresql,tidings-sqlite,node,node-rows"


def scheduling(
    messages: Annotated[int, typer.Option(min=1, help="Messages that are scheduled.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; everybody has a turn in each.")] = 3,
    only: Annotated[str, typer.Option(help="Who is compared, separated by commas.")] = EVERYBODY,
) -> None:
    """Times bulk scheduling, and weighs what a scheduled message takes in Redis."""
    console = open_console()
    say = partial(console.print, style="dim", soft_wrap=True)
    finish(console, run(_measure(contestants(only), messages, rounds, say)))


async def _measure(everybody: list[Contestant], messages: int, rounds: int, say: Callable[[str], None]) -> Result:
    async with open_stage(say) as stage:
        for contestant in everybody:
            await contestant.prepare(stage, messages + WARM_UP)
        lines, failures = await take_turns(
            stage, everybody, rounds, lambda one: measure_scheduling(stage, one, messages)
        )
        versions = {**stage.versions, **{one.key: one.version() for one in everybody}}
    table = Table(f"{messages:,} messages scheduled for tomorrow", COLUMNS, lines)
    table.compare(NODE)
    return Result("scheduling", {"messages": messages, "rounds": rounds}, versions, [table], failures)
