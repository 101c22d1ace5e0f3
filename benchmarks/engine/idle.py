"""What a worker costs that waits for jobs of tomorrow."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from benchmarks.engine.arena import Arena
from benchmarks.engine.contestants import STOCK, Contestant
from benchmarks.engine.plan import Measure
from benchmarks.engine.report import Goal, Row, Samples, Section

QUEUE = "tomorrow"
DAY = 86_400_000  # milliseconds
NO_MORE = Goal(1, of=STOCK)
HARDLY_MORE = Goal(1.02, of=STOCK)  # nearly all of it is the server's own ticking, which varies as much
BASELINE = 5.0  # seconds over which the server is watched without a worker


async def measure(arena: Arena) -> Section:
    plan = arena.plan
    rows: list[Row] = []
    alone = await _server_alone(arena, min(plan.idle_over, BASELINE))
    for concurrency in plan.idle_concurrencies:
        found: dict[str, Samples] = defaultdict(lambda: defaultdict(list))
        arena.say(f"{plan.far_jobs:,} far delayed jobs, {concurrency} at a time, {plan.idle_over:g} s each")
        for contestant in arena.contestants:
            for what, value in (await _cost(arena, contestant, concurrency)).items():
                found[what][contestant.key].append(value)
        rows += [
            Row(f"{concurrency} at a time: commands", "/s", found["commands"], NO_MORE),
            Row(f"{concurrency} at a time: requests", "/s", found["requests"]),
            Row(f"{concurrency} at a time: server CPU", "ms/s", found["server"], HARDLY_MORE),
            Row(f"{concurrency} at a time: worker CPU", "ms/s", found["worker"], NO_MORE),
        ]
    title = (
        f"An idle worker with {plan.far_jobs:,} jobs delayed to tomorrow, over {plan.idle_over:g} s; "
        f"without a worker the server takes {alone:.2f} ms/s"
    )
    return Section(Measure.IDLE, title, rows)


async def _server_alone(arena: Arena, seconds: float) -> float:
    """Milliseconds of the server's CPU per second."""
    before = await arena.server.work()
    await asyncio.sleep(seconds)
    return (await arena.server.work() - before).cpu * 1000 / seconds


async def _cost(arena: Arena, contestant: Contestant, concurrency: int) -> dict[str, float]:
    """Per second: commands as the server counts them, requests among them, and milliseconds of CPU."""
    seconds = arena.plan.idle_over
    queue = arena.server.queue(arena.prefix(contestant), QUEUE)
    await arena.server.fill(queue, [{"delay": DAY + number} for number in range(arena.plan.far_jobs)])
    async with arena.working(contestant, QUEUE, concurrency=concurrency) as running:
        await asyncio.sleep(2 * arena.plan.settle)
        used, before = (await running.ask())["cpu"], await arena.server.work()
        await asyncio.sleep(seconds)
        work = await arena.server.work() - before
        used = (await running.ask())["cpu"] - used
    return {
        "commands": (work.commands - 1) / seconds,  # the bench's own question
        "requests": (work.requests - 1) / seconds,
        "server": work.cpu * 1000 / seconds,
        "worker": used * 1000 / seconds,
    }
