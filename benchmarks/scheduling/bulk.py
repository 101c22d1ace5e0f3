"""Bulk scheduling by one contestant, without a worker."""

from __future__ import annotations

import time

from benchmarks.contestants.base import Contestant
from benchmarks.processes import cpu_of
from benchmarks.stage import Stage

DAY = 86_400.0  # seconds
WARM_UP = 50  # messages that pay for what is only loaded or learnt once
COLUMNS = {
    "messages": "/s",
    "program": "µs CPU",
    "PostgreSQL": "µs CPU",
    "Redis": "µs CPU",
    "total": "µs CPU",
    "in Redis": "bytes",
}


async def measure_scheduling(stage: Stage, contestant: Contestant, messages: int) -> dict[str, float]:
    """What the columns say of scheduling so many messages for tomorrow; CPU and bytes are a message's."""
    await stage.clear()
    async with contestant.installed(stage, concurrency=1) as installation:
        due = round(time.time() + DAY)
        await installation.fill(WARM_UP)
        await installation.schedule([due + number for number in range(WARM_UP)])
        await installation.fill(messages)
        await stage.postgres.rest()
        memory = await _memory(stage)
        before = (cpu_of(stage.postgres.pid), cpu_of(stage.redis_pid))
        effort = await installation.schedule([due + number / 1000 for number in range(messages)])
        postgres, redis = cpu_of(stage.postgres.pid) - before[0], cpu_of(stage.redis_pid) - before[1]
        taken = await _memory(stage) - memory
    return {
        "messages": messages / effort.seconds,
        "program": effort.cpu * 1e6 / messages,
        "PostgreSQL": postgres * 1e6 / messages,
        "Redis": redis * 1e6 / messages,
        "total": (effort.cpu + postgres + redis) * 1e6 / messages,
        "in Redis": taken / messages,
    }


async def _memory(stage: Stage) -> int:
    """Bytes that Redis uses now."""
    return int((await stage.redis.redis.info("memory"))["used_memory"])
