"""One burst of one contestant, measured from its due moment until the last row says that it was sent."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter

from benchmarks.contestants.base import Contestant, Installation
from benchmarks.stage import Cpu, Stage
from tidings.errors import TidingsError

SETTLE = 6.0  # seconds from the end of scheduling to the due moment; who looks only now and then has looked by then
PATIENCE = 60.0  # seconds without news after which no more messages will come
TAIL = 0.3  # seconds for what follows the last row: the job's completion
COLUMNS = {
    "messages": "/s",
    "worker": "µs CPU",
    "PostgreSQL": "µs CPU",
    "Redis": "µs CPU",
    "total": "µs CPU",
    "first": "ms",
    "sink": "µs CPU",
}


class BurstFailed(TidingsError):
    """A contestant lost or repeated messages, or could not be measured."""


class ScheduledTooLate(BurstFailed):
    """The messages were due before all of them were scheduled."""


async def measure_burst(stage: Stage, contestant: Contestant, messages: int, concurrency: int) -> dict[str, float]:
    """What the columns say of one burst: CPU is a message's, `first` is from the due moment to the first arrival.

    Raises BurstFailed unless each message arrived exactly once and its row was updated.
    """
    try:
        return await _measure(stage, contestant, messages, concurrency)
    except ScheduledTooLate as error:
        stage.say(f"{error}; it gets more time")
        return await _measure(stage, contestant, messages, concurrency)


async def _measure(stage: Stage, contestant: Contestant, messages: int, concurrency: int) -> dict[str, float]:
    await stage.clear()
    async with contestant.installed(stage, concurrency=concurrency) as installation:
        await installation.start_worker()
        await installation.fill(messages)
        began = time.time()
        due = float(math.ceil(began + SETTLE + 2 + messages / contestant.pace))
        await installation.schedule([due] * messages)
        took = time.time() - began
        contestant.pace = 0.7 * messages / took  # for the next time
        if began + took > due - 1:
            raise ScheduledTooLate(f"{contestant.label} took {took:.0f} s to schedule {messages:,} messages")
        await stage.postgres.rest()
        await asyncio.sleep(due - time.time() - 0.2)
        before = stage.cpu(installation.worker)
        used = await _all_sent(stage, installation, messages) - before
        arrivals = await stage.sink.arrivals()
        _check(contestant, arrivals, installation.dues)
    moments = [at for _, at in arrivals]
    server = used.worker + used.postgres + used.redis
    return {
        "messages": (messages - 1) / (max(moments) - min(moments)) if messages > 1 else 0.0,
        "worker": used.worker * 1e6 / messages,
        "PostgreSQL": used.postgres * 1e6 / messages,
        "Redis": used.redis * 1e6 / messages,
        "total": server * 1e6 / messages,
        "first": (min(moments) - due) * 1000,
        "sink": used.sink * 1e6 / messages,
    }


async def _all_sent(stage: Stage, installation: Installation, messages: int) -> Cpu:
    """What everybody has used by the time that the last message is through."""
    arrived = await stage.sink.wait_for(messages, within=PATIENCE, sender=installation.worker)
    if arrived < messages:
        raise BurstFailed(f"only {arrived:,} of {messages:,} messages arrived; {installation.worker.failure()}")
    loop = asyncio.get_running_loop()
    ends = loop.time() + PATIENCE
    while (sent := await installation.sent()) < messages:
        if loop.time() > ends:
            raise BurstFailed(f"only {sent:,} of {messages:,} rows say sent; {installation.worker.failure()}")
        await asyncio.sleep(0.1)
    await asyncio.sleep(TAIL)
    return stage.cpu(installation.worker)


def _check(contestant: Contestant, arrivals: list[tuple[str, float]], dues: dict[str, float]) -> None:
    times = Counter(key for key, _ in arrivals)
    missing, again = len(dues.keys() - times.keys()), sum(count - 1 for count in times.values())
    strange = len(times.keys() - dues.keys())
    early = sum(at < dues[key] for key, at in arrivals if key in dues)
    if missing or again or strange or early:
        raise BurstFailed(
            f"{contestant.label}: {missing} messages are missing, {again} came again, {strange} are unknown, "
            f"{early} came early"
        )
