"""Adds, removes and finds many jobs of a queue in one call; the Lua that does it stands beside this file.

A call keeps the server from everybody else, due jobs included, so it takes no more than `MOST` jobs (1 to 3 ms).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import msgpack
from redis.asyncio import Redis

from tidings.engine.policy import QueuePolicy
from tidings.engine.worker.scripts import to_json

MOST = 200

_PIECE = 2000  # ids of a waiting list that are read at once

_Item = TypeVar("_Item")


class BulkScripts:
    """The calls for the queues under one prefix. Redis failures are raised as they come."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._add = redis.register_script(_source("add_jobs"))
        self._remove = redis.register_script(_source("remove_jobs"))
        self._find = redis.register_script(_source("find_jobs"))
        self._give_back = redis.register_script(_source("give_back"))

    async def add(self, queue: str, batch: NewJobs) -> list[str]:
        """Adds new jobs. Answers the ids that were there already; those jobs are as they were."""
        keys = self._keys(queue, "marker", "meta", "id", "delayed", "events", "wait", "active", "prioritized", "pc")
        present: list[str] = await self._add(keys=keys, args=[self._base(queue), *batch.arguments()])
        return present

    async def remove(self, queue: str, job_ids: Sequence[str]) -> list[str]:
        """Removes delayed jobs. Answers the ids of those that are there but not simply delayed."""
        others: list[str] = await self._remove(
            keys=self._keys(queue, "delayed", "meta", "events"), args=[self._base(queue), *job_ids]
        )
        return others

    async def give_back(self, queue: str, taken: float, window: float) -> None:
        """Has a job not count in the window of a rate limit in which it began; both times are in milliseconds."""
        await self._give_back(keys=self._keys(queue, "limiter"), args=[int(taken), round(window)])

    async def find(self, queue: str, job_ids: Sequence[str]) -> list[float | None]:
        """For each id, however many, None when there is no job still to run, 0 when it waits or runs, else the epoch
        seconds by the server's clock at which it is due. A job that stands in no list will never run, so it is none.
        """
        found = dict(zip(job_ids, await self._places(queue, job_ids), strict=True))
        unseen = {job_id for job_id, place in found.items() if place == "?"}
        if unseen and (unseen := await self._not_waiting(queue, unseen)):
            # What was not in the list any more has begun or ended meanwhile, or was in none from the start.
            found |= zip(unseen, await self._places(queue, [*unseen]), strict=True)
            found |= {job_id: "" for job_id in unseen if found[job_id] == "?"}
        dues: dict[str, float | None] = {
            job_id: None if place == "" else due_of(float(place)) if place != "?" else 0.0
            for job_id, place in found.items()
        }
        return [dues[job_id] for job_id in job_ids]

    async def _places(self, queue: str, job_ids: Sequence[str]) -> list[str]:
        keys = self._keys(queue, "delayed", "active", "prioritized", "waiting-children")
        places: list[str] = []
        for some in chunks(job_ids):
            places += await self._find(keys=keys, args=[self._base(queue), *some])
        return places

    async def _not_waiting(self, queue: str, job_ids: Set[str]) -> set[str]:
        """Those of the ids that wait in no list. It may be long, so it is read in pieces, and once for all of them.

        Jobs are put in at the beginning, so what is read a piece later may be seen twice, but is not passed over.
        """
        left = set(job_ids)
        for key in self._keys(queue, "wait", "paused"):
            start = 0
            while left and (waiting := await self._redis.lrange(key, start, start + _PIECE - 1)):
                left.difference_update(waiting)
                start += _PIECE
        return left

    def _base(self, queue: str) -> str:
        return f"{self._prefix}:{queue}:"

    def _keys(self, queue: str, *names: str) -> list[str]:
        return [f"{self._prefix}:{queue}:{name}" for name in names]


class NewJobs:
    """New jobs of one queue, packed as the script reads them, added at `now` (epoch milliseconds).

    What a job has in a field of its own, its delay for one, does not stand among its options too: Node reads the
    field, and Redis's memory is dear.
    """

    def __init__(self, policy: QueuePolicy, now: int) -> None:
        self._options = {
            "attempts": policy.attempts,
            "backoff": {"type": "exponential", "delay": round(policy.backoff * 1000)},
            **policy.retention,
        }
        self._now = now
        self._kinds: dict[tuple[str, int], int] = {}
        self._jobs: list[Any] = []

    def append(self, job_id: str, name: str, priority: int, data: Any, due: int) -> None:
        """One job, due at so many epoch milliseconds. Raises TypeError or ValueError for data that is not JSON."""
        kind = self._kinds.setdefault((name, priority), len(self._kinds))
        self._jobs += (kind, job_id, to_json(data), max(due - self._now, 0))

    def arguments(self) -> tuple[int, bytes, bytes]:
        """What follows the prefix among the script's arguments."""
        kinds: list[Any] = []
        for name, priority in self._kinds:
            options = {**self._options, "priority": priority} if priority else self._options
            kinds += (name, to_json(options), priority)
        return self._now, msgpack.packb(kinds), msgpack.packb(self._jobs)


def due_of(score: float) -> float:
    """When a delayed job is due, in epoch seconds; BullMQ has it in the score's upper bits, above 12 of sequence."""
    return score / 0x1000 / 1000


def chunks(items: Sequence[_Item], most: int = MOST) -> Iterator[Sequence[_Item]]:
    """The items, so many at a time."""
    return (items[start : start + most] for start in range(0, len(items), most))


@cache
def _source(name: str) -> str:
    return files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
