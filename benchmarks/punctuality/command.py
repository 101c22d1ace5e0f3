"""`python -m benchmarks punctuality`: how late a lone message arrives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from benchmarks.contestants.all import NODE, contestants
from benchmarks.contestants.base import Contestant
from benchmarks.punctuality.lone import COLUMNS, Spread, measure_lateness
from benchmarks.results import Result, Table, finish
from benchmarks.rounds import take_turns
from benchmarks.stage import open_stage
from tidings.cli.output import open_console
from tidings.cli.running import run

CONCURRENCY = 50


def punctuality(
    messages: Annotated[int, typer.Option(min=1, help="Lone messages of a round.")] = 300,
    seconds: Annotated[float, typer.Option(min=0.1, help="Over how long they are spread.")] = 8.0,
    idle: Annotated[float, typer.Option(min=0, help="Seconds of idleness before one more.")] = 20.0,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; everybody has a turn in each.")] = 3,
    only: Annotated[str, typer.Option(help="Who is compared, separated by commas.")] = "tidings-postgresql,node",
) -> None:
    """Times lone messages from their moment to their arrival at a sink, and one after idleness."""
    console = open_console()
    say = partial(console.print, style="dim", soft_wrap=True)
    finish(console, run(_measure(contestants(only), Spread(messages, seconds, idle), rounds, say)))


async def _measure(everybody: list[Contestant], spread: Spread, rounds: int, say: Callable[[str], None]) -> Result:
    async with open_stage(say) as stage:
        for contestant in everybody:
            await contestant.prepare(stage, spread.messages + 1)
        lines, failures = await take_turns(
            stage, everybody, rounds, lambda one: measure_lateness(stage, one, spread, CONCURRENCY)
        )
        versions = {**stage.versions, **{one.key: one.version() for one in everybody}}
    title = (
        f"{spread.messages} lone messages over {spread.seconds:g} s, and one after {spread.idle:g} s of idleness: "
        "from their moment to their arrival"
    )
    table = Table(title, COLUMNS, lines)
    table.compare(NODE)
    plan = {"messages": spread.messages, "seconds": spread.seconds, "idle": spread.idle, "rounds": rounds}
    return Result("punctuality", plan, versions, [table], failures)
