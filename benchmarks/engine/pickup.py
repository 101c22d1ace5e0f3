"""How soon a lone job starts when its worker has had nothing to do for a while."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from contextlib import AsyncExitStack

from benchmarks.engine.arena import Arena
from benchmarks.engine.contestants import Running
from benchmarks.engine.plan import Measure
from benchmarks.engine.report import Goal, Row, Samples, Section

CONCURRENCY = 10
DELAY = 300  # milliseconds of the lone delayed job
SPREAD = (0.08, 0.12)  # seconds between two additions
PATIENCE = 30.0  # seconds after which a job that has not started never will


async def measure(arena: Arena) -> Section:
    """All idle side by side, a worker for each sample, for one alone would need the idle time for every sample."""
    plan = arena.plan
    numbers = range(plan.lone_jobs)
    queues = [f"{kind}-{number}" for kind in ("now", "later") for number in numbers]
    arena.say(f"{plan.lone_jobs} lone jobs of either kind, after {plan.idle_before:g} s of idleness")
    async with AsyncExitStack() as stack:
        running = {
            contestant.key: await stack.enter_async_context(
                arena.working(contestant, *queues, concurrency=CONCURRENCY)
            )
            for contestant in arena.contestants
        }
        await asyncio.sleep(plan.settle + plan.idle_before)
        await _warm_up(arena)
        since = await _add(arena, "now", 0)
        since |= await _add(arena, "later", DELAY)
        await asyncio.sleep(DELAY / 1000 + 0.2)  # a question would disturb the workers
        waits = {key: await _waits(one, key, since) for key, one in running.items()}

    now, later = ({key: kinds[kind] for key, kinds in waits.items()} for kind in ("now", "later"))
    rows = [
        Row("addition to start, typically", "ms", now),
        Row("addition to start, at worst", "ms", now, Goal(5), stands=max),
        Row("a delayed one, typically late by", "ms", later),
        Row("a delayed one, at worst late by", "ms", later, stands=max),
    ]
    return Section(Measure.PICKUP, f"A lone job after {plan.idle_before:g} s of idleness", rows)


async def _warm_up(arena: Arena) -> None:
    """Loads the scripts that add jobs, which the first addition would pay for."""
    for contestant in arena.contestants:
        queue = arena.server.queue(arena.prefix(contestant), "nobody-works-here")
        await queue.add("job", {})
        await queue.add("job", {}, {"delay": 3_600_000})


async def _add(arena: Arena, kind: str, delay: int) -> dict[tuple[str, str], float]:
    """Adds a job to each queue of this kind, in turn; answers when each was added, or is due, in epoch ms."""
    since: dict[tuple[str, str], float] = {}
    for number in range(arena.plan.lone_jobs):
        for contestant in arena.contestants:
            await asyncio.sleep(random.uniform(*SPREAD))
            job = f"{kind}-{number}"
            queue = arena.server.queue(arena.prefix(contestant), job)  # named as its only job
            now = time.time() * 1000
            await queue.add("job", {"number": 1}, {"jobId": job, "timestamp": int(now), "delay": delay})
            since[contestant.key, job] = int(now) + delay if delay else now
    return since


async def _waits(running: Running, key: str, since: dict[tuple[str, str], float]) -> dict[str, list[float]]:
    mine = {job: moment for (owner, job), moment in since.items() if owner == key}
    started = await running.starts(len(mine), within=PATIENCE)
    waits: Samples = defaultdict(list)
    for job, moment in mine.items():
        waits[job.partition("-")[0]].append(started[job] - moment)
    return waits
