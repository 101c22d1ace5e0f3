"""`python -m benchmarks delivery`: a burst of messages, by Tidings and by everybody else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from benchmarks.contestants.all import NODE, contestants
from benchmarks.contestants.base import Contestant
from benchmarks.delivery.burst import COLUMNS, measure_burst
from benchmarks.results import Result, Table, finish
from benchmarks.rounds import take_turns
from benchmarks.stage import open_stage
from tidings.cli.output import open_console
from tidings.cli.running import run

EVERYBODY = "tidings-postgresql,tidings-sqlite,node,celery,arq,dramatiq,taskiq,procrastinate"

BEFORE = (
    "What is done before the due moment is not counted: Celery and dramatiq have fetched the messages by then, and "
    "hold them in their workers; the others fetch them when they are due."
)


def delivery(
    messages: Annotated[int, typer.Option(min=2, help="Messages that are due at once.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; everybody has a turn in each.")] = 3,
    concurrency: Annotated[int, typer.Option(min=1, help="Messages that a worker sends at a time.")] = 50,
    only: Annotated[str, typer.Option(help="Who is compared, separated by commas.")] = EVERYBODY,
) -> None:
    """Times a burst: each message is read from its row, posted to a sink and written down."""
    console = open_console()
    say = partial(console.print, style="dim", soft_wrap=True)
    finish(console, run(_measure(contestants(only), messages, rounds, concurrency, say)))


async def _measure(
    everybody: list[Contestant], messages: int, rounds: int, concurrency: int, say: Callable[[str], None]
) -> Result:
    async with open_stage(say) as stage:
        for contestant in everybody:
            await contestant.prepare(stage, messages)
        lines, failures = await take_turns(
            stage, everybody, rounds, lambda one: measure_burst(stage, one, messages, concurrency)
        )
        versions = {**stage.versions, **{one.key: one.version() for one in everybody}}
    table = Table(f"{messages:,} messages due at once, {concurrency} at a time", COLUMNS, lines)
    table.compare(NODE)
    plan = {"messages": messages, "rounds": rounds, "concurrency": concurrency}
    return Result("delivery", plan, versions, [table], [BEFORE, *failures])
