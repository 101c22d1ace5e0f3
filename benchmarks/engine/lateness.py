"""How late delayed jobs start on a server that does nothing else."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from statistics import median

from benchmarks.engine.arena import Arena
from benchmarks.engine.contestants import Running
from benchmarks.engine.plan import Measure
from benchmarks.engine.report import Goal, Row, Section, percentile

QUEUE = "delayed"
CONCURRENCY = 10
SPACING = 20  # milliseconds between two jobs; each is late by a random part of it
PATIENCE = 30.0  # seconds after which a job that has not started never will


async def measure(arena: Arena) -> Section:
    # The same for everybody and every run.
    chance = random.Random(1)
    offsets = [number * SPACING + chance.randrange(SPACING) for number in range(arena.plan.delayed_jobs)]
    late: dict[str, list[list[float]]] = defaultdict(list)
    for contestant in arena.turns(f"{len(offsets)} delayed jobs"):
        async with arena.working(contestant, QUEUE, concurrency=CONCURRENCY) as running:
            await asyncio.sleep(arena.plan.settle)
            late[contestant.key].append(await _lateness(arena, running, arena.prefix(contestant), offsets))

    def row(what: str, percent: float, goal: Goal | None = None) -> Row:
        samples = {name: [percentile(one, percent) for one in rounds] for name, rounds in late.items()}
        return Row(what, "ms", samples, goal, stands=max if percent == 100 else median)

    early = {name: [float(sum(value < 0 for value in one)) for one in rounds] for name, rounds in late.items()}
    rows = [
        row("half start within", 50),
        row("99 of 100 start within", 99, Goal(2.5)),
        row("all start within", 100),
        Row("started early", "jobs", early, Goal(0), stands=sum),
    ]
    return Section(Measure.LATENESS, f"{len(offsets)} delayed jobs, each at its own moment, on an idle server", rows)


async def _lateness(arena: Arena, running: Running, prefix: str, offsets: list[int]) -> list[float]:
    """Milliseconds from each job's due time to its processor's start."""
    added = int(time.time() * 1000)
    first = added + round(arena.plan.quiet * 1000) + len(offsets) // 5  # adding takes about 0.1 ms a job
    dues = {f"job-{number}": first + offset for number, offset in enumerate(offsets)}
    options = [
        {"jobId": job, "timestamp": added, "delay": due - added, "removeOnComplete": {"count": 100}}
        for job, due in dues.items()
    ]
    await arena.server.fill(arena.server.queue(prefix, QUEUE), options)
    await asyncio.sleep(max(dues.values()) / 1000 - time.time() + 0.2)  # a question would disturb the worker
    started = await running.starts(len(dues), within=PATIENCE)
    return [started[job] - due for job, due in dues.items()]
