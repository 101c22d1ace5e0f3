"""`python -m benchmarks steady`: an hour at 200 messages a second, and what has grown meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from benchmarks.contestants.tidings import TidingsContestant
from benchmarks.results import Line, Result, Table, finish
from benchmarks.stage import open_stage
from benchmarks.steady.flow import MINUTE, Flow
from benchmarks.steady.growth import GROWTH, Sizes
from benchmarks.steady.window import PUNCTUALITY, Window, measure
from tidings.cli.output import open_console
from tidings.cli.running import run

CONCURRENCY = 50


def steady(
    minutes: Annotated[int, typer.Option(min=1, help="How long messages leave.")] = 60,
    rate: Annotated[int, typer.Option(min=1, help="Messages a second.")] = 200,
    every: Annotated[int, typer.Option(min=1, help="Minutes of one line of the tables.")] = 5,
) -> None:
    """Schedules and delivers at a steady rate on PostgreSQL, and tells minute by minute what drifts."""
    console = open_console()
    say = partial(console.print, style="dim", soft_wrap=True)
    finish(console, run(_measure(minutes, rate, every, say)))


async def _measure(minutes: int, rate: int, every: int, say: Callable[[str], None]) -> Result:
    windows: list[Window] = []
    failures: list[str] = []
    async with open_stage(say) as stage:
        contestant = TidingsContestant("PostgreSQL")
        await contestant.prepare(stage, rate * MINUTE)
        await stage.clear()
        async with (
            contestant.installed(stage, concurrency=CONCURRENCY) as installation,
            Sizes(installation.tidings.app.settings.database) as sizes,
        ):
            await installation.start_worker()
            flow = Flow(installation.tidings, rate)
            scheduling = asyncio.create_task(flow.run(minutes))
            try:
                for first in range(0, minutes, every):
                    until = min(first + every, minutes)
                    windows.append(await measure(stage, installation.worker, flow, sizes, until))
                    say(f"{until} of {minutes} minutes: {windows[-1].sentence()}")
                    if scheduling.done():
                        await scheduling
            finally:
                scheduling.cancel()
            failures += flow.missing()
        versions = {**stage.versions, contestant.key: contestant.version()}
    title = f"{rate} messages a second, scheduled a minute before their moment, on PostgreSQL"
    lines = [(f"until minute {window.until}", window.figures) for window in windows]
    tables = [
        Table(
            f"{title}: {name}",
            columns,
            [Line(label, {key: [found[key]] for key in columns}) for label, found in lines],
        )
        for name, columns in (("lateness and cost", PUNCTUALITY), ("what grows", GROWTH))
    ]
    return Result("steady", {"minutes": minutes, "rate": rate}, versions, tables, failures)
