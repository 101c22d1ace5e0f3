"""How many jobs that do nothing a worker works off in a second, and what they cost."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.engine.arena import Arena
from benchmarks.engine.contestants import NODE, STOCK
from benchmarks.engine.plan import Measure
from benchmarks.engine.report import Goal, Row, Samples, Section

QUEUE = "no-op"
STOCK_SHARE = 8
"""Python's stock worker gets an eighth of the jobs, so that the bench does not mostly wait for it."""


async def measure(arena: Arena) -> Section:
    rows: list[Row] = []
    for concurrency in arena.plan.concurrencies:
        pace, server_cpu, worker_cpu = defaultdict(list), defaultdict(list), defaultdict(list)
        for contestant in arena.turns(f"no-op jobs, {concurrency} at a time"):
            jobs = max(arena.plan.jobs // (STOCK_SHARE if contestant.key == STOCK else 1), 1)
            queue = arena.server.queue(arena.prefix(contestant), QUEUE)
            await arena.server.fill(queue, [{}] * jobs)
            async with arena.working(contestant, QUEUE, concurrency=concurrency, jobs=jobs) as running:
                before = await arena.server.work()
                answer = await running.ask()
                work = await arena.server.work() - before
            pace[contestant.key].append(jobs / answer["seconds"])
            server_cpu[contestant.key].append(work.cpu / jobs * 1_000_000)
            worker_cpu[contestant.key].append(answer["cpu"] / jobs * 1_000_000)
        rows += _rows(concurrency, pace, server_cpu, worker_cpu)
    return Section(
        Measure.THROUGHPUT,
        "Jobs that do nothing, with BullMQ's default options, added before the worker starts",
        rows,
    )


def _rows(concurrency: int, pace: Samples, server_cpu: Samples, worker_cpu: Samples) -> list[Row]:
    return [
        Row(f"{concurrency} at a time: pace", "jobs/s", pace, Goal(1.5, of=NODE, at_least=True), paired=True),
        Row(f"{concurrency} at a time: server CPU", "ms/1,000 jobs", server_cpu, paired=True),
        Row(f"{concurrency} at a time: worker CPU", "ms/1,000 jobs", worker_cpu, paired=True),
    ]
