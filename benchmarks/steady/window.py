"""Some minutes of the flow: how late its messages came, what each cost, and how large everything is afterwards."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine.report import percentile
from benchmarks.processes import Process, tree_of
from benchmarks.stage import Stage
from benchmarks.steady.flow import MINUTE, Flow
from benchmarks.steady.growth import Sizes

STRAGGLERS = 0.5
"""Seconds after the last message's moment, for those that are late."""

PUNCTUALITY = {
    "came": "messages",
    "p50": "ms",
    "p99": "ms",
    "latest": "ms",
    "early": "messages",
    "cost of worker": "µs",
    "of PostgreSQL": "µs",
    "of Redis": "µs",
    "load": "of the machine",
}


@dataclass(frozen=True, slots=True)
class Window:
    """What was found from the end of the window before until minute `until`."""

    until: int
    figures: dict[str, float]

    def sentence(self) -> str:
        """For whoever watches."""
        found = self.figures
        late = f"p50 {found['p50']:.1f}, p99 {found['p99']:.1f} ms late"
        return f"{found['came']:,.0f} came, {late}, worker {found['worker']:.0f} MB"


async def measure(stage: Stage, worker: Process, flow: Flow, sizes: Sizes, until: int) -> Window:
    """Waits until that minute of the flow is over."""
    before = stage.cpu(worker)
    await asyncio.sleep(flow.start + until * MINUTE + STRAGGLERS - time.time())
    cost = stage.cpu(worker) - before
    late = flow.late(await stage.sink.take())
    if not late:
        raise worker.failure()
    memory = await stage.redis.redis.info("memory")
    figures = {
        "came": float(len(late)),
        "p50": percentile(late, 50),
        "p99": percentile(late, 99),
        "latest": late[-1],
        "early": float(sum(one < 0 for one in late)),
        "cost of worker": cost.worker / len(late) * 1e6,
        "of PostgreSQL": cost.postgres / len(late) * 1e6,
        "of Redis": cost.redis / len(late) * 1e6,
        "load": os.getloadavg()[1],
        "worker": sum(_resident(one) for one in tree_of(worker.pid)) / 2**20,
        "Redis": memory["used_memory"] / 2**20,
        **await sizes.figures(),
    }
    return Window(until, figures)


def _resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
