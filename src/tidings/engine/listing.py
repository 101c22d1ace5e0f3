"""Which jobs stand in Redis, a page at a time, for whoever looks whether all is well. Nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from redis.asyncio import Redis

from tidings.engine.redis import answering, connect

PAGE = 1000

_LISTS, _SETS = ("wait", "paused", "active"), ("delayed", "prioritized")


class JobListing:
    """One installation's jobs that are still to run, or running. Redis failures are raised as QueueUnavailable."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, prefix: str) -> AsyncIterator[Self]:
        """On a connection of its own."""
        async with connect(url) as redis:
            yield cls(redis, prefix)

    async def pages(self, queue: str) -> AsyncIterator[Sequence[str]]:
        """The ids of a queue's jobs. One that moves meanwhile may come twice, or not at all."""
        for name in _LISTS:
            key, place = f"{self._prefix}:{queue}:{name}", 0
            while ids := await self._list_page(key, place):
                yield ids
                place += len(ids)
        for name in _SETS:
            key, cursor = f"{self._prefix}:{queue}:{name}", -1
            while cursor:
                async with answering():
                    cursor, found = await self._redis.zscan(key, max(cursor, 0), count=PAGE)
                yield [str(job_id) for job_id, _ in found]

    async def _list_page(self, key: str, place: int) -> Sequence[str]:
        async with answering():
            found: Any = await self._redis.lrange(key, place, place + PAGE - 1)
        return found if isinstance(found, list) else ()
