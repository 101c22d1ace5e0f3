"""The queues of one Redis: arm and disarm jobs, look them up, count them.

Jobs are written with BullMQ's own scripts, so Node's BullMQ and its dashboards read and write the same keys.
"""

from __future__ import annotations

import math
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import bullmq
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tidings.clock import Clock, SystemClock
from tidings.engine.bulk import BulkScripts, NewJobs, chunks, due_of
from tidings.engine.horizon import Horizon, HorizonPolicy
from tidings.engine.jobs import Job, JobType, Schedule, new_job_id
from tidings.engine.marks import Marks
from tidings.engine.policy import QueuePolicy
from tidings.engine.progress import Progress
from tidings.engine.redis import answering
from tidings.engine.worker.server_clock import in_server_time
from tidings.errors import NotFound
from tidings.log import current_request_id

MARGIN = 600.0
"""Seconds beyond the horizon for which jobs are armed all the same: recovery, which loads the others, is never so far
ahead of a transaction that has just been committed."""

_LOOKED_UP = 1000  # ids in one ZMSCORE


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
    """Opens every declared queue on one Redis client. Redis failures are raised as QueueUnavailable.

    Jobs of the `recovered` types are made anew from rows by recovery, which also loads those that are due beyond the
    horizon when their time comes nearer. Jobs of other types are always armed.

    Jobs are due by Redis's clock, which is `server_ahead` seconds ahead of this machine's.
    """

    def __init__(
        self,
        policies: Iterable[QueuePolicy],
        redis: Redis,
        *,
        prefix: str,
        clock: Clock,
        recovered: Iterable[JobType[Any]] = (),
        horizon: HorizonPolicy = HorizonPolicy(),  # noqa: B008  # it is frozen
    ) -> None:
        self.policies: Mapping[str, QueuePolicy] = {policy.name: policy for policy in policies}
        self._redis = redis
        self._prefix = prefix
        self._clock = clock
        self._queues: dict[str, Any] = {}  # opened when they are used: each loads all of BullMQ's scripts
        self._scripts = BulkScripts(redis, prefix)
        self._recovered = frozenset((job_type.queue.name, job_type.name) for job_type in recovered)
        self._horizon = Horizon(horizon, self._count_recovered)
        self.progress = Progress(redis, prefix)
        self.handed_over = Marks(redis, prefix, "handed-over")
        self.server_ahead = 0.0

    def due_milliseconds(self, due: datetime | None) -> int:
        """The moment of `due` in epoch milliseconds as Redis counts them, never before it."""
        if due is None:
            return int(self._server_now() * 1000)
        wait = self._clock.seconds_until(due)  # first: what time passes before the next line makes the job late
        return math.ceil((self._server_now() + wait) * 1000 - 0.01)

    async def server_time(self) -> float:
        """Epoch seconds by Redis's clock. Raises QueueUnavailable."""
        async with answering():
            seconds, microseconds = await self._redis.time()
        return float(int(seconds) + int(microseconds) / 1e6)

    async def arm(self, jobs: Sequence[Job]) -> int:
        """Adds jobs; one that has the same id is replaced, unless a worker is running it right now.

        Returns how many of them are due within the horizon; those beyond it are not in Redis afterwards.
        """
        near, far = await self._split(jobs)
        for queue, theirs in _by_queue(far).items():
            await self.disarm(queue, [job.id or "" for job in theirs])
        present = await self._add(near)
        for queue, theirs in _by_queue(present).items():
            await self.disarm(queue, [job.id or "" for job in theirs])
        await self._add(present)
        return len(near)

    async def disarm(self, queue: str, job_ids: Sequence[str]) -> None:
        """Removes jobs, except those that a worker is running; unknown ids are ignored."""
        self._require(queue)
        async with answering():
            for some in chunks(job_ids):
                if others := await self._scripts.remove(queue, some):
                    await self._remove_others(queue, others)

    async def give_back(self, queue: str, seconds: float) -> None:
        """A job that began so many seconds ago has used up nothing of what the queue's rate limit allows."""
        if limit := self.policies[queue].rate_limit:
            async with answering():
                await self._scripts.give_back(queue, seconds * 1000, limit.seconds * 1000)

    async def hasten(self, queue: str, job_ids: Sequence[str]) -> list[str]:
        """Has delayed jobs wait for a worker now, in this order among equals; they keep the attempts they have had.

        Returns the ids of those that are not delayed: they wait or run already, or are not there.
        """
        scripts = self._queue(queue).scripts
        others: list[str] = []
        async with answering():
            for some in chunks(job_ids):
                async with self._redis.pipeline(transaction=False) as pipe:
                    for job_id in some:
                        keys, arguments = scripts.promoteArgs(job_id)
                        await scripts.commands["promote"](keys=keys, args=arguments, client=pipe)
                    found = await pipe.execute()
                others += [job_id for job_id, answer in zip(some, found, strict=True) if answer != 0]
        return others

    async def find(self, queue: str, job_ids: Sequence[str]) -> list[ArmedJob | None]:
        """For each id the job still to run, or None when there is none or it has finished."""
        self._require(queue)
        async with answering():
            dues, now = await self._scripts.find(queue, job_ids), self._server_now()
        return [None if due is None else ArmedJob(due - now if due else 0.0) for due in dues]

    async def find_missing(
        self, queues: Sequence[str], dues: Mapping[str, datetime | None], *, slack: float = math.inf
    ) -> list[str]:
        """Those of the ids that have a job in none of the queues, or one that is set for more than `slack` seconds
        after the due time given for it (None: at once)."""
        now = self._server_now()
        latest = {job_id: now + self._seconds_until(due) + slack for job_id, due in dues.items()}
        for queue in queues:
            latest = {
                job_id: limit
                for (job_id, limit), due in zip(latest.items(), await self._delayed(queue, [*latest]), strict=True)
                if due is None or due > limit
            }
        for queue in queues:  # waiting, running, finished, too late or not there
            now = self._server_now()
            latest = {
                job_id: limit
                for (job_id, limit), job in zip(latest.items(), await self.find(queue, [*latest]), strict=True)
                if job is None or now + job.seconds > limit
            }
        return [*latest]

    async def arm_missing(self, jobs: Sequence[Job], *, slack: float = math.inf) -> int:
        """Adds those of the jobs, each with an id, that are not there, or stand more than `slack` seconds too late.

        Returns how many they were; jobs beyond the horizon do not count.
        """
        near, _ = await self._split(jobs)
        present = await self._add(near)
        late: list[Job] = []
        for queue, theirs in _by_queue(present).items():
            missing = set(await self.find_missing([queue], {job.id or "": job.due for job in theirs}, slack=slack))
            late += [job for job in theirs if job.id in missing]
        return len(near) - len(present) + await self.arm(late)

    async def horizon(self, *, margin: float = 0.0) -> datetime | None:
        """Up to which due time, and `margin` seconds more, jobs are to be in Redis now; None: there is no bound."""
        async with answering():
            seconds = await self._horizon.seconds()
        return None if seconds is None else self._clock.after(seconds + margin)

    async def stats(self, queue: str) -> QueueStats:
        """Counts of one queue; `waiting` includes prioritised and paused jobs."""
        async with answering():
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
        real = self._clock.seconds_until(following)
        repeat: dict[str, Any]
        async with answering():
            if schedule.cron is not None and isinstance(self._clock, SystemClock):
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
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(queue.toKey(f"repeat:{schedule.id}"), "pattern")
            pipe.zscore(queue.toKey("repeat"), schedule.id)
            pattern, due = await pipe.execute()
        if pattern != schedule.cron or due is None or due > self._server_now() * 1000:
            return False
        return await queue.getJobState(f"repeat:{schedule.id}:{int(due)}") in {"waiting", "delayed", "prioritized"}

    async def count_workers(self, queue: str) -> int:
        """How many workers, in whatever process, are connected for a queue; Node's count too."""
        own = self._queue(queue).qualifiedName
        node = f"{self._prefix}:{b64encode(queue.encode()).decode()}"
        async with answering():
            names = [client["name"] for client in await self._redis.client_list()]
        # One of ours has several connections and one name; of Node's, one connection bears the name.
        ours = {name for name in names if name == own or name.startswith(f"{own}:w:")}
        return len(ours) + sum(name == node or name.startswith(f"{node}:w:") for name in names)

    async def was_emptied(self) -> bool:
        """Whether Redis lost its data since recovery gave every row its job."""
        return (await self.progress.look())[0]

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False

    def _server_now(self) -> float:
        return time.time() + self.server_ahead

    def _seconds_until(self, due: datetime | None) -> float:
        return max(self._clock.seconds_until(due), 0.0) if due else 0.0

    def _queue(self, name: str) -> Any:
        if name not in self.policies:
            raise NotFound("queue", name)
        if name not in self._queues:
            queue = bullmq.Queue(name, {"connection": self._redis, "prefix": self._prefix})
            commands = queue.scripts.commands
            commands["addJobScheduler"] = self._in_server_time("addJobScheduler", commands["addJobScheduler"])
            self._queues[name] = queue
        return self._queues[name]

    def _in_server_time(self, name: str, script: Any) -> Any:
        def call(keys: Sequence[Any], args: Sequence[Any], client: Any = None) -> Any:
            return script(keys=keys, args=in_server_time(name, args, self.server_ahead), client=client)

        return call

    def _require(self, queue: str) -> None:
        if queue not in self.policies:
            raise NotFound("queue", queue)

    async def _split(self, jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
        """The last job of each id, by whether it is due within the horizon."""
        latest = {(job.queue, job.id or place): job for place, job in enumerate(jobs)}
        for queue in {job.queue for job in jobs}:
            self._require(queue)
        far = [job for job in latest.values() if job.due and job.id and (job.queue, job.name) in self._recovered]
        edge = await self.horizon(margin=MARGIN) if far else None
        if edge is None:
            return [*latest.values()], []
        far = [job for job in far if job.due and job.due > edge]
        beyond = {id(job) for job in far}
        return [job for job in latest.values() if id(job) not in beyond], far

    async def _add(self, jobs: Sequence[Job]) -> list[Job]:
        """Adds the jobs that are not there. Returns the others."""
        present: list[Job] = []
        request_id = ""
        async with answering():
            for queue, theirs in _by_queue(jobs).items():
                for some in chunks(theirs):
                    now = self._server_now()
                    batch = NewJobs(self.policies[queue], int(now * 1000))
                    enqueued_at = _iso(now)
                    dues: dict[datetime | None, int] = {None: 0}
                    for job in some:
                        if job.due not in dues:
                            dues[job.due] = self.due_milliseconds(job.due)
                        carried = job.data.get("requestId")
                        request_id = request_id if carried or request_id else current_request_id()
                        data = {**job.data, "requestId": carried or request_id, "enqueuedAt": enqueued_at}
                        batch.append(job.id or new_job_id(), job.name, job.priority, data, dues[job.due])
                    there = set(await self._scripts.add(queue, batch))
                    present += [job for job in some if job.id in there]
                    self._horizon.note_added(len(some) - len(there))
        return present

    async def _remove_others(self, queue: str, job_ids: Sequence[str]) -> None:
        scripts = self._queue(queue).scripts
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                keys, arguments = [scripts.toKey(job_id), scripts.keys["repeat"]], [job_id, 0, scripts.keys[""]]
                await scripts.commands["removeJob"](keys=keys, args=arguments, client=pipe)
            await pipe.execute()

    async def _delayed(self, queue: str, job_ids: Sequence[str]) -> list[float | None]:
        """For each id the epoch seconds at which its delayed job is due, None when it is not among the delayed."""
        self._require(queue)
        key = f"{self._prefix}:{queue}:delayed"
        scores: list[float | None] = []
        async with answering():
            for some in chunks(job_ids, _LOOKED_UP):
                scores += await self._redis.zmscore(key, [*some])
        return [None if score is None else due_of(score) for score in scores]

    async def _count_recovered(self) -> int:
        async with self._redis.pipeline(transaction=False) as pipe:
            for queue in {queue for queue, _ in self._recovered}:
                pipe.zcard(f"{self._prefix}:{queue}:delayed")
            return sum(await pipe.execute())


def _by_queue(jobs: Iterable[Job]) -> Mapping[str, list[Job]]:
    found: defaultdict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        found[job.queue].append(job)
    return found


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
