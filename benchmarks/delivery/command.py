"""`python -m benchmarks delivery`: a burst of messages, by Tidings and by everybody else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from benchmarks.contestants.all import contestants
from benchmarks.contestants.base import Contestant
from benchmarks.delivery.burst import COLUMNS, BurstFailed, measure_burst
from benchmarks.results import Line, Result, Table, show
from benchmarks.stage import open_stage
from tidings import log
from tidings.cli.output import open_console
from tidings.cli.running import run

BASE = "Node, by hand"


def delivery(
    messages: Annotated[int, typer.Option(min=2, help="Messages that are due at once.")] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; everybody has a turn in each.")] = 3,
    concurrency: Annotated[int, typer.Option(min=1, help="Messages that a worker sends at a time.")] = 50,
    only: Annotated[str | None, typer.Option(help="Only these contestants, separated by commas.")] = None,
) -> None:
    """Times a burst: each message is read from its row, posted to a sink and written down."""
    console = open_console()
    log.configure(level="ERROR")
    say = partial(console.print, style="dim", soft_wrap=True)
    result = run(_measure(contestants(only), messages, rounds, concurrency, say))
    show(console, result)
    console.print(f"written to {result.write()}", style="dim", soft_wrap=True)


async def _measure(
    everybody: list[Contestant], messages: int, rounds: int, concurrency: int, say: Callable[[str], None]
) -> Result:
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    notes: list[str] = []
    async with open_stage(say) as stage:
        for contestant in everybody:
            await contestant.prepare(stage, messages)
        for number in range(1, rounds + 1):
            for contestant in everybody:
                say(f"round {number} of {rounds}: {contestant.label}")
                try:
                    figures = await measure_burst(stage, contestant, messages, concurrency)
                except BurstFailed as error:  # the others have taken minutes
                    notes.append(f"Round {number}: {error}.")
                    say(notes[-1])
                    continue
                for name, value in figures.items():
                    found[contestant.label][name].append(value)
        versions = {**stage.versions, **{one.key: one.version() for one in everybody}}
    lines = [Line(label, dict(samples)) for label, samples in found.items()]
    table = Table(f"{messages:,} messages due at once, {concurrency} at a time", COLUMNS, lines)
    table.compare(BASE)
    plan = {"messages": messages, "rounds": rounds, "concurrency": concurrency}
    return Result("delivery", plan, versions, [table], notes)
