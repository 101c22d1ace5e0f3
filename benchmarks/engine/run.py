"""The bench from its start to its report."""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.engine import idle, lateness, pickup, throughput
from benchmarks.engine.arena import Arena
from benchmarks.engine.contestants import Contestant, ContestantFailed, find_contestants
from benchmarks.engine.plan import Measure, Plan
from benchmarks.engine.report import Report
from benchmarks.engine.server import Server, bench_server

_SECTIONS = {
    Measure.THROUGHPUT: throughput.measure,
    Measure.LATENESS: lateness.measure,
    Measure.PICKUP: pickup.measure,
    Measure.IDLE: idle.measure,
}

STOCK_NOTE = (
    "Python's stock worker is given a read timeout of 60 s: with the 5 s of redis-py 8 it would be deaf for seconds."
)


def run_bench(
    plan: Plan,
    *,
    redis_url: str | None = None,
    node_modules: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Measures what the plan holds and reports it; `say` gets a line now and then.

    Raises ConfigurationError when the server or the folder of Node's packages is unfit.
    """
    contestants, left_out = find_contestants(node_modules)
    with bench_server(redis_url) as url:
        report = asyncio.run(_run(plan, url, contestants, embedded=redis_url is None, say=say))
    if plan.rounds == 1:
        report.notes.append("One round only: good for a look, not for a verdict.")
    if left_out:
        report.notes.append(left_out)
    return report


async def _run(
    plan: Plan, url: str, contestants: Sequence[Contestant], *, embedded: bool, say: Callable[[str], None]
) -> Report:
    server = Server(url)
    arena = Arena(plan, server, contestants, f"bench-{secrets.token_hex(4)}", say)
    try:
        machine = {
            "server": await server.open(embedded=embedded),
            "machine": f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        }
        report = Report(machine, [STOCK_NOTE], asdict(plan))
        gc.collect()
        gc.freeze()  # the bench's own collections must not hold up what it adds
        for measure in plan.measures:
            try:
                report.sections.append(await _SECTIONS[measure](arena))
            except ContestantFailed as error:  # the other measures have taken minutes
                report.notes.append(f"The measure {measure.value} is missing: {error}.")
    finally:
        gc.unfreeze()
        await server.close()
    for key, versions in arena.versions.items():
        machine[key] = f"{versions['runtime']}, bullmq {versions['bullmq']}"
    return report
