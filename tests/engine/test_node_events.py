"""Whichever side works on a job, both sides are told the same of it: events, attempts, results, counts and notes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import bullmq
import pytest

from support.node_peer import Fleet, Node, both_ways, open_fleet
from support.workshop import Workshop, eventually

OpenWorkshop = Callable[..., Awaitable[Workshop]]
either_works = pytest.mark.parametrize("side", ["tidings", "tidings in batches", "node"])
Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
async def node() -> AsyncIterator[Node]:
    async with Node.started() as running:
        yield running


@pytest.fixture
async def fleet(node: Node, open_workshop: OpenWorkshop) -> AsyncIterator[Fleet]:  # closed before its workshops
    async with open_fleet(node) as opened:
        yield opened


# -- Events


# A job's events in their order, and after < the state that the job came from.
STORIES = {
    "lost": "added waiting active<waiting waiting<active stalled active<waiting completed<active",
    "plain": "added waiting active<waiting progress completed<active",
    "urgent": "added waiting active<waiting completed<active",
    "later": "added delayed waiting<delayed active<waiting completed<active",
    "retried": "added waiting active<waiting delayed waiting<delayed active<waiting completed<active",
    "again": "added waiting active<waiting waiting<active active<waiting completed<active",
    "hopeless": "added waiting active<waiting waiting<active active<waiting failed<active retries-exhausted",
    "final": "added waiting active<waiting failed<active",
}

JOBS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({"progress": {"percent": 40}, "result": [1, "é"]}, {}),
    "urgent": ({}, {"priority": 2}),
    "later": ({}, {"delay": 30}),
    "retried": ({"failures": 1}, {"attempts": 2, "backoff": {"type": "fixed", "delay": 20}}),
    "again": ({"failures": 1}, {"attempts": 2}),
    "hopeless": ({"failures": 2}, {"attempts": 2}),
    "final": ({"final": "no such number"}, {"attempts": 2}),
}


@asynccontextmanager
async def heard_here(shop: Workshop) -> AsyncIterator[Events]:
    """Every event of the queue as Python's QueueEvents tells it, in the form of peer.mjs."""
    heard: Events = []

    def listen(event: str) -> None:
        def note(*arguments: Any) -> None:
            heard.append({"event": event, **({} if event == "drained" else arguments[0])})

        events.on(event, note)

    # Its close waits for its read, whose cancellation redis-py may swallow: so the read is a short one.
    options = {"connection": shop.url, "prefix": shop.prefix, "lastEventId": "0", "blockingTimeout": 100}
    events = bullmq.QueueEvents(shop.policy.name, options)
    for event in ("drained", *{told.split("<")[0] for story in STORIES.values() for told in story.split()}):
        listen(event)
    yield heard
    await events.close()


def as_texts(event: dict[str, Any]) -> dict[str, str]:
    """An event without the difference that Node reads the delay as a number."""
    return {name: str(value) for name, value in event.items()}


@either_works
async def test_both_sides_hear_the_same_events_whoever_works(
    open_workshop: OpenWorkshop, fleet: Fleet, node: Node, side: str
) -> None:
    shop = await open_workshop()
    lost = bullmq.Worker("orders", None, {"connection": shop.redis, "prefix": shop.prefix, "lockDuration": 1})
    await shop.bullmq.add("order", {"number": 1}, {"jobId": "lost"})
    assert await lost.getNextJob("a token that is never heard of again")
    await fleet.work(side, shop, stalledInterval=50)
    await shop.finished(1)
    async with heard_here(shop) as heard:
        for count, (job_id, (data, options)) in enumerate(JOBS.items(), start=2):
            await shop.bullmq.add("order", data, {"jobId": job_id, **options})
            await shop.finished(count)

        async def all_heard() -> bool:
            return [event["event"] for event in heard].count("drained") == len(STORIES)

        await eventually(all_heard)

    async def node_has_heard_all() -> Events | None:
        events: Events = await node.call(shop, "events")
        return events if len(events) >= len(heard) else None

    told = await eventually(node_has_heard_all) or []
    assert list(map(as_texts, told)) == list(map(as_texts, heard))
    for job_id, story in STORIES.items():
        own = [event for event in heard if event.get("jobId") == job_id]
        assert " ".join(event["event"] + ("<" + event["prev"] if "prev" in event else "") for event in own) == story
    details = {(event["event"], event.get("jobId")): event for event in heard}
    assert details["progress", "plain"]["data"] == {"percent": 40}
    assert details["completed", "plain"]["returnvalue"] == [1, "é"]
    assert details["failed", "final"]["failedReason"] == "no such number"
    assert details["retries-exhausted", "hopeless"]["attemptsMade"] == "2"
    ends = [event["event"] for event in heard if event["event"] in ("completed", "failed", "drained")]
    assert ends[1::2] == ["drained"] * len(STORIES), "the queue ran dry after each job"


async def test_node_hears_of_each_job_of_a_batch_once(open_workshop: OpenWorkshop, fleet: Fleet, node: Node) -> None:
    shop = await open_workshop()
    ids = [f"job-{number}" for number in range(40)]
    await shop.bullmq.addBulk(
        [{"name": "order", "data": {"result": one}, "opts": {"jobId": one, "removeOnComplete": True}} for one in ids]
    )
    await fleet.work("tidings in batches", shop, concurrency=12)

    async def has_drained() -> Events | None:
        told: Events = await node.call(shop, "events")
        return told if told and told[-1]["event"] == "drained" else None

    told = await eventually(has_drained) or []
    for job_id in ids:
        own = [event for event in told if event.get("jobId") == job_id]
        assert [event["event"] for event in own] == ["added", "waiting", "active", "completed"]
        assert own[-1]["returnvalue"] == job_id
    assert [event["jobId"] for event in told if event["event"] == "active"] == ids


async def test_node_waits_for_the_outcome_of_a_job_that_we_work_on(
    open_workshop: OpenWorkshop, fleet: Fleet, node: Node
) -> None:
    shop = await open_workshop()
    await fleet.work("tidings", shop, concurrency=2)
    good = await fleet["node"].add(shop, {"number": 1, "milliseconds": 100, "result": {"sent": True}})
    assert await node.call(shop, "job.ended", good) == {"sent": True}
    bad = await fleet["node"].add(shop, {"number": 2, "milliseconds": 100, "final": "refused"})
    with pytest.raises(AssertionError, match="Error: refused"):
        await node.call(shop, "job.ended", bad)


# -- Attempts


@both_ways
async def test_the_attempts_of_a_job_that_one_side_works_on_are_read_by_the_other(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    shop = await open_workshop()
    hand = await fleet.work(one, shop)
    backoff = {"type": "exponential", "delay": 40}
    job_id = await fleet[other].add(shop, {"failures": 9}, attempts=3, backoff=backoff)
    runs = await hand.has_run(3)
    await shop.finished(1)
    assert [run["attempt"] for run in runs] == [1, 2, 3]
    for (earlier, later), wait in zip(pairwise(runs), (0.04, 0.08), strict=True):
        assert later["from"] >= earlier["to"] + wait - 0.002
    job = await fleet[other].job(shop, job_id)
    assert (job["attemptsMade"], job["attemptsStarted"], job["failedReason"]) == (3, 3, "attempt 3 failed")
    assert len(job["stacktrace"]) == 3
    for number, trace in enumerate(job["stacktrace"], start=1):
        assert f"attempt {number} failed" in trace
    assert await fleet[other].queue(shop, "getJobState", job_id) == "failed"


@both_ways
async def test_a_job_that_failed_on_one_side_goes_on_with_its_next_attempt_on_the_other(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    shop = await open_workshop()
    first = await fleet.work(one, shop)
    job_id = await fleet[one].add(shop, {"failures": 2}, attempts=3, backoff={"type": "fixed", "delay": 300})
    assert [run["attempt"] for run in await first.has_run(1)] == [1]
    await first.close()
    second = await fleet.work(other, shop)
    assert [run["attempt"] for run in await second.has_run(2)] == [2, 3]
    await shop.finished(1)
    job = await fleet[one].job(shop, job_id)
    assert (job["attemptsMade"], job["attemptsStarted"], job["returnvalue"]) == (3, 3, "done")
    assert len(job["stacktrace"]) == 2


async def test_a_job_that_ends_leaves_the_same_fields_whoever_worked_on_it(
    open_workshop: OpenWorkshop, fleet: Fleet
) -> None:
    differing = ("timestamp", "processedOn", "finishedOn", "stacktrace")

    async def fields(side: str) -> list[dict[Any, Any]]:
        shop = await open_workshop()
        await fleet.work(side, shop, name="worker-7")
        await shop.bullmq.add("order", {"result": [{}, 1.5, "a"]}, {"jobId": "good", "priority": 3})
        await shop.bullmq.add("order", {"result": None}, {"jobId": "nothing"})
        await shop.bullmq.add("order", {"final": "no"}, {"jobId": "bad"})
        await shop.bullmq.add("order", {"failures": 1}, {"jobId": "retried", "attempts": 2})
        await shop.finished(4)
        left = [await shop.redis.hgetall(shop.key(job_id)) for job_id in ("good", "nothing", "bad", "retried")]
        return [{name: "any" if name in differing else value for name, value in job.items()} for job in left]

    assert await fields("tidings") == await fields("node")


# -- Schedules


@both_ways
async def test_a_schedule_that_one_side_made_is_kept_by_the_other_and_handed_back(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    shop = await open_workshop()
    await fleet[one].schedule(shop, "tick", 150, {"number": 7})
    first = await fleet.work(other, shop)
    await first.has_run(3)
    await first.close()
    second = await fleet.work(one, shop)
    await second.has_run(2)
    runs = [*await first.runs(), *await second.runs()]
    assert {run["number"] for run in runs} == {7}
    times = [int(run["id"].removeprefix("repeat:tick:")) for run in runs]
    assert all((later - earlier) % 150 == 0 and later > earlier for earlier, later in pairwise(times))
    assert all(run["from"] >= at / 1000 - 0.001 for run, at in zip(runs[1:], times[1:], strict=True))
    (scheduler,) = await fleet[one].queue(shop, "getJobSchedulers")
    assert scheduler["key"] == "tick"
    assert scheduler["iterationCount"] >= 5
    await fleet[one].queue(shop, "removeJobScheduler", "tick")


# -- Flows


async def open_family(open_workshop: OpenWorkshop, **opts: Any) -> tuple[Workshop, Workshop, dict[str, Any]]:
    """A queue of parents, one of children, and a flow in which a parent collects what four children gave it."""
    parents = await open_workshop(name="parents")
    children = await open_workshop(name="children", prefix=parents.prefix)
    jobs = [{"name": "order", "queueName": "children", "data": {"result": n}, "opts": opts} for n in range(4)]
    flow = {"name": "order", "queueName": "parents", "data": {"gather": True}, "children": jobs}
    return parents, children, flow


@both_ways
async def test_a_parent_on_one_side_gets_what_its_children_made_on_the_other(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    parents, children, flow = await open_family(open_workshop)
    await fleet.work(one, parents)
    await fleet.work(other, children, concurrency=2)
    for maker in (one, other):
        parent = await fleet[maker].add_flow(parents, flow)

        async def has_completed(parent: str = parent) -> bool:
            return bool(await fleet[other].queue(parents, "getJobState", parent) == "completed")

        await eventually(has_completed)
        values = (await fleet[other].job(parents, parent))["returnvalue"]
        assert sorted(values.values()) == [0, 1, 2, 3]
        assert all(key.startswith(f"{children.prefix}:children:") for key in values)


@both_ways
async def test_a_child_that_fails_on_one_side_fails_its_parent_on_the_other_unprocessed(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    parents, children, flow = await open_family(open_workshop, failParentOnFailure=True)
    flow["children"][2]["data"] = {"final": "no such number"}
    parent = await fleet[one].add_flow(parents, flow)
    hand = await fleet.work(one, parents)
    await fleet.work(other, children)
    await parents.finished(1)
    job = await fleet[other].job(parents, parent)
    assert job["failedReason"].startswith(f"child {children.prefix}:children:")
    assert await hand.runs() == []


# -- Counts, duplicates and notes


async def test_node_reads_metrics_to_which_both_sides_add(open_workshop: OpenWorkshop, fleet: Fleet) -> None:
    shop = await open_workshop()
    for count, side in enumerate(("tidings", "node"), start=1):
        hand = await fleet.work(side, shop, metrics={"maxDataPoints": 10})
        for _ in range(5):
            await shop.bullmq.add("order", {})
        for _ in range(2):
            await shop.bullmq.add("order", {"final": "no"})
        await shop.finished(7 * count)
        await hand.close()
        completed = await fleet["node"].queue(shop, "getMetrics", "completed")
        assert completed["meta"]["count"] == 5 * count
        assert completed["meta"]["prevTS"] > 0
        assert (await fleet["node"].queue(shop, "getMetrics", "failed"))["meta"]["count"] == 2 * count


@both_ways
async def test_a_duplicate_is_refused_by_both_sides_until_the_other_has_finished_the_job(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    shop = await open_workshop()
    await shop.bullmq.pause()
    only = {"deduplication": {"id": "customer-7"}}
    first = await fleet[one].add(shop, {"number": 1}, **only)
    assert await fleet[other].add(shop, {"number": 2}, **only) == first
    assert await fleet[one].add(shop, {"number": 3}, **only) == first
    hand = await fleet.work(other, shop)
    await shop.bullmq.resume()
    await shop.finished(1)
    second = await fleet[one].add(shop, {"number": 4}, **only)
    assert second != first
    assert [run["number"] for run in await hand.has_run(2)] == [1, 4]


@both_ways
async def test_the_log_and_the_progress_that_one_side_writes_are_read_by_the_other(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    shop = await open_workshop()
    await fleet.work(one, shop)
    job_id = await fleet[other].add(shop, {"log": "asked the provider ✓", "progress": {"sent": 3}})
    await shop.finished(1)
    assert await fleet[other].queue(shop, "getJobLogs", job_id) == {"logs": ["asked the provider ✓"], "count": 1}
    assert (await fleet[other].job(shop, job_id))["progress"] == {"sent": 3}
