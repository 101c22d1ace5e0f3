"""Marks: names that one process tells all others of for a little while, so that they leave them alone."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from tidings.engine.redis import answering

LASTING = 30
"""Seconds for which a mark is seen; whoever set it sets it again in time."""


class Marks:
    """Marks of one kind in an installation's Redis. Redis failures are raised as QueueUnavailable."""

    def __init__(self, redis: Redis, prefix: str, name: str) -> None:
        self._redis = redis
        self._start = f"{prefix}:tidings:{name}:"

    async def put(self, names: Sequence[str]) -> None:
        """Marks these, for LASTING seconds from now."""
        async with answering(), self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.set(self._start + name, "1", ex=LASTING)
            await pipe.execute()

    async def among(self, names: Sequence[str]) -> set[str]:
        """Those of the names that are marked."""
        async with answering():
            values = await self._redis.mget([self._start + name for name in names])
        return {name for name, value in zip(names, values, strict=True) if value}
