"""Lone messages of one contestant: how late each arrives at the sink, and one after nothing happened for a while."""

from __future__ import annotations

import asyncio
import math
import random
import time
from dataclasses import dataclass

from benchmarks.contestants.base import Contestant, Installation
from benchmarks.engine.report import percentile
from benchmarks.stage import Stage
from tidings.errors import TidingsError

SETTLE = 4.0  # seconds for a worker to start and to fall asleep
QUIET = 1.0  # seconds between scheduling and the first message
PATIENCE = 20.0  # seconds without news after which no more messages will come
COLUMNS = {"p50": "ms", "p99": "ms", "latest": "ms", "after idleness": "ms", "early": "messages"}


class MessageLost(TidingsError):
    """A message did not arrive, or more than once."""


@dataclass(frozen=True, slots=True)
class Spread:
    """So many messages, each at its own moment within so many seconds, and then one after `idle` seconds."""

    messages: int
    seconds: float
    idle: float

    def moments(self, start: float) -> list[float]:
        """Epoch seconds in whole milliseconds, the same distances for everybody and in every run."""
        chance = random.Random(1)
        space = self.seconds / self.messages
        return [round(start + (number + chance.random()) * space, 3) for number in range(self.messages)]


async def measure_lateness(
    stage: Stage, contestant: Contestant, spread: Spread, concurrency: int
) -> dict[str, float]:
    """What the columns say of one round. Raises MessageLost."""
    await stage.clear()
    async with contestant.installed(stage, concurrency=concurrency) as installation:
        await installation.start_worker()
        await asyncio.sleep(SETTLE)
        first = time.time() + QUIET + spread.messages / contestant.pace + 1
        await installation.fill(spread.messages)
        await installation.schedule(spread.moments(first))
        await asyncio.sleep(first + spread.seconds - time.time() + 0.2)  # a question would disturb the worker
        late = sorted((await _lateness(stage, installation)).values())
        await installation.fill(1)
        await installation.schedule([math.ceil(time.time() * 1000 + spread.idle * 1000) / 1000])
        await asyncio.sleep(spread.idle + 0.2)
        everything = await _lateness(stage, installation)
    return {
        "p50": percentile(late, 50),
        "p99": percentile(late, 99),
        "latest": late[-1],
        "after idleness": everything[max(installation.dues, key=installation.dues.__getitem__)],
        "early": float(sum(value < 0 for value in everything.values())),
    }


async def _lateness(stage: Stage, installation: Installation) -> dict[str, float]:
    """Milliseconds from each message's moment to its arrival, by its key."""
    dues = installation.dues
    await stage.sink.wait_for(len(dues), within=PATIENCE, sender=installation.worker)
    arrivals = dict(found := await stage.sink.arrivals())
    if len(found) != len(dues) or arrivals.keys() != dues.keys():
        raise MessageLost(
            f"{len(arrivals.keys() & dues.keys())} of {len(dues)} messages came, in {len(found)} requests; "
            f"{installation.worker.failure()}"
        )
    return {key: (at - dues[key]) * 1000 for key, at in arrivals.items()}
