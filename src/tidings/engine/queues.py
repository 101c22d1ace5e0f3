"""The queues of one Redis: arm and disarm jobs, look them up, count them.

Jobs are written with BullMQ's own scripts, so Node's BullMQ and its dashboards read and write the same keys.
"""

from __future__ import annotations

import math
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import bullmq
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tidings.clock import Clock
from tidings.engine.jobs import Job, Schedule
from tidings.engine.policy import QueuePolicy
from tidings.errors import NotFound, QueueUnavailable
from tidings.log import current_request_id

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How many jobs are where. `total` counts those still to be done."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int

    @property
    def total(self) -> int:
        return self.waiting + self.active + self.delayed

    def as_dict(self) -> dict[str, int]:
        """The specification's shape."""
        return {**asdict(self), "total": self.total}


@dataclass(frozen=True, slots=True)
class ArmedJob:
    """A job that is still to run; `seconds` is how far away its due time is (real seconds)."""

    seconds: float


class Queues:
    """Opens every declared queue on one Redis client. Redis failures are raised as QueueUnavailable."""

    def __init__(self, policies: Iterable[QueuePolicy], redis: Redis, *, prefix: str, clock: Clock) -> None:
        self.policies: Mapping[str, QueuePolicy] = {policy.name: policy for policy in policies}
        self._redis = redis
        self._prefix = prefix
        self._clock = clock
        self._queues: dict[str, Any] = {}  # opened when they are used: each loads all of BullMQ's scripts
        self._sentinel = f"{prefix}:tidings:armed"

    def due_milliseconds(self, due: datetime | None) -> int:
        """The machine-clock moment of `due` in epoch milliseconds, never before it."""
        if due is None:
            return int(time.time() * 1000)
        wait = self._clock.seconds_until(due)  # first: what time passes before the next line makes the job late
        return math.ceil((time.time() + wait) * 1000 - 0.01)

    async def arm(self, jobs: Sequence[Job]) -> None:
        """Adds jobs; one that has the same id is replaced, unless a worker is running it right now."""
        for start in range(0, len(jobs), _CHUNK):
            async with self._pipeline() as pipe:
                for job in jobs[start : start + _CHUNK]:
                    if job.id is not None:
                        await self._remove(job.queue, job.id, pipe)
                    await self._add(job, pipe)

    async def disarm(self, queue: str, job_ids: Sequence[str]) -> None:
        """Removes jobs, except those that a worker is running; unknown ids are ignored."""
        for start in range(0, len(job_ids), _CHUNK):
            async with self._pipeline() as pipe:
                for job_id in job_ids[start : start + _CHUNK]:
                    await self._remove(queue, job_id, pipe)

    async def find(self, queue: str, job_ids: Sequence[str]) -> list[ArmedJob | None]:
        """For each id the job still to run, or None when there is none or it has finished."""
        found: list[ArmedJob | None] = []
        to_key = self._queue(queue).toKey
        for start in range(0, len(job_ids), _CHUNK):
            async with self._pipeline() as pipe:
                for job_id in job_ids[start : start + _CHUNK]:
                    pipe.hmget(to_key(job_id), ["timestamp", "finishedOn"])
                    pipe.zscore(to_key("delayed"), job_id)
                answers = await pipe.execute()
            now = time.time() * 1000
            for (timestamp, finished), score in zip(answers[::2], answers[1::2], strict=True):
                if timestamp is None or finished is not None:
                    found.append(None)
                else:
                    # BullMQ packs the due time into the score's upper bits (12 bits of sequence below).
                    found.append(ArmedJob((float(score) / 0x1000 - now) / 1000 if score else 0.0))
        return found

    async def find_missing(self, jobs: Sequence[Job], *, slack: float = math.inf) -> list[Job]:
        """Those of the jobs, each with an id, that are not there, or stand more than `slack` seconds too late."""
        missing: list[Job] = []
        for queue in dict.fromkeys(job.queue for job in jobs):
            theirs = [job for job in jobs if job.queue == queue]
            found = await self.find(queue, [job.id or "" for job in theirs])
            missing += [
                job
                for job, present in zip(theirs, found, strict=True)
                if present is None or present.seconds > self._seconds_until(job.due) + slack
            ]
        return missing

    async def arm_missing(self, jobs: Sequence[Job], *, slack: float = math.inf) -> int:
        """Adds those of the jobs that `find_missing` finds. Returns how many they were."""
        missing = await self.find_missing(jobs, slack=slack)
        await self.arm(missing)
        return len(missing)

    async def stats(self, queue: str) -> QueueStats:
        """Counts of one queue; `waiting` includes prioritised and paused jobs."""
        async with self._guarded():
            counts = await self._queue(queue).getJobCounts(
                "wait", "prioritized", "paused", "active", "completed", "failed", "delayed"
            )
        return QueueStats(
            waiting=counts["wait"] + counts["prioritized"] + counts["paused"],
            active=counts["active"],
            completed=counts["completed"],
            failed=counts["failed"],
            delayed=counts["delayed"],
        )

    async def put_schedule(self, schedule: Schedule[Any]) -> None:
        """Makes sure that a recurring job exists; on a fast clock it comes round as much faster.

        With a cron pattern, one whose time has passed unseen is due at once, and the next on the pattern's minute.
        Raises ValueError for a pattern that cannot be read.
        """
        policy = schedule.job_type.queue
        following = self._clock.now() + timedelta(seconds=schedule.seconds)
        began = time.time()
        real = self._clock.seconds_until(following)
        shows_machine_time = began - 0.01 <= following.timestamp() - real <= time.time() + 0.01
        repeat: dict[str, Any]
        async with self._guarded():
            if schedule.cron is not None and shows_machine_time:
                # Without tz, Node's BullMQ reads a pattern in the zone of its machine.
                repeat = {"pattern": schedule.cron, "tz": "UTC", "immediately": await self._is_overdue(schedule)}
            else:
                repeat = {"every": round(max(round(real, 1), 1.0) * 1000)}
            await self._queue(policy.name).upsertJobScheduler(
                schedule.id,
                repeat,
                schedule.job_type.name,
                schedule.data.model_dump(mode="json"),
                policy.retention,
            )

    async def _is_overdue(self, schedule: Schedule[Any]) -> bool:
        """Whether a job of this pattern still waits after its time: BullMQ would replace it by the one after it."""
        queue = self._queue(schedule.job_type.queue.name)
        async with self._pipeline() as pipe:
            pipe.hget(queue.toKey(f"repeat:{schedule.id}"), "pattern")
            pipe.zscore(queue.toKey("repeat"), schedule.id)
            pattern, due = await pipe.execute()
        if pattern != schedule.cron or due is None or due > time.time() * 1000:
            return False
        return await queue.getJobState(f"repeat:{schedule.id}:{int(due)}") in {"waiting", "delayed", "prioritized"}

    async def count_workers(self, queue: str) -> int:
        """How many workers, in whatever process, are connected for a queue; Node's count too."""
        own = self._queue(queue).qualifiedName
        node = f"{self._prefix}:{b64encode(queue.encode()).decode()}"
        async with self._guarded():
            names = [client["name"] for client in await self._redis.client_list()]
        # One of ours has several connections and one name; of Node's, one connection bears the name.
        ours = {name for name in names if name == own or name.startswith(f"{own}:w:")}
        return len(ours) + sum(name == node or name.startswith(f"{node}:w:") for name in names)

    async def was_emptied(self) -> bool:
        """Whether Redis lost its data since `mark_armed` was last called."""
        async with self._guarded():
            return not await self._redis.exists(self._sentinel)

    async def mark_armed(self) -> None:
        """Notes in Redis that every row has its job; the note is lost together with the jobs."""
        async with self._guarded():
            await self._redis.set(self._sentinel, datetime.now(UTC).isoformat())

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False

    def _seconds_until(self, due: datetime | None) -> float:
        return max(self._clock.seconds_until(due), 0.0) if due else 0.0

    def _queue(self, name: str) -> Any:
        if name not in self.policies:
            raise NotFound("queue", name)
        if name not in self._queues:
            self._queues[name] = bullmq.Queue(name, {"connection": self._redis, "prefix": self._prefix})
        return self._queues[name]

    async def _remove(self, queue: str, job_id: str, pipe: Any) -> None:
        scripts = self._queue(queue).scripts
        keys = [scripts.toKey(job_id), scripts.keys["repeat"]]
        await scripts.commands["removeJob"](keys=keys, args=[job_id, 0, scripts.keys[""]], client=pipe)

    async def _add(self, job: Job, pipe: Any) -> None:
        queue = self._queue(job.queue)
        policy = self.policies[job.queue]
        now = int(time.time() * 1000)
        options: dict[str, Any] = {
            "timestamp": now,
            "delay": max(self.due_milliseconds(job.due) - now, 0),
            "attempts": policy.attempts,
            "backoff": {"type": "exponential", "delay": round(policy.backoff * 1000)},
            **policy.retention,
        }
        if job.id is not None:
            options["jobId"] = job.id
        if job.priority:
            options["priority"] = job.priority
        data = {
            **job.data,
            "requestId": job.data.get("requestId") or current_request_id(),
            "enqueuedAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        await queue.scripts.addJob(bullmq.Job(queue, job.name, data, options, job.id), pipe)

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error

    @asynccontextmanager
    async def _pipeline(self) -> AsyncIterator[Any]:
        async with self._guarded(), self._redis.pipeline(transaction=False) as pipe:
            yield pipe
            if pipe.command_stack:
                await pipe.execute()
