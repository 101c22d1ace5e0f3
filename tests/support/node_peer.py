"""The two sides of a queue, Node's BullMQ in a process of its own and this program, and fleets of both."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import bullmq
import pytest
from bullmq.custom_errors import UnrecoverableError

from support.batches import one_by_one
from support.workshop import Workshop, eventually
from tidings.engine import Worker

OpenWorkshop = Callable[..., Awaitable[Workshop]]
HERE = Path(__file__).parents[1] / "node"
both_ways = pytest.mark.parametrize(("one", "other"), [("tidings", "node"), ("node", "tidings")])


@dataclass
class Hand:
    """A worker of whatever side. A run tells number, id, attempt, and from when to when in epoch seconds."""

    runs: Callable[[], Awaitable[list[dict[str, Any]]]]
    close: Callable[[], Awaitable[object]]

    async def has_run(self, count: int) -> list[dict[str, Any]]:
        """The runs so far, once so many have ended."""

        async def enough() -> list[dict[str, Any]] | None:
            runs = await self.runs()
            return runs if sum("to" in run for run in runs) >= count else None

        return await eventually(enough) or []


class Side(Protocol):
    """One program that uses the queues."""

    async def queue(self, shop: Workshop, method: str, *arguments: Any) -> Any: ...
    async def job(self, shop: Workshop, job_id: str) -> Mapping[str, Any]: ...
    async def add(self, shop: Workshop, data: dict[str, Any], **options: Any) -> str: ...
    async def add_flow(self, shop: Workshop, flow: dict[str, Any]) -> str: ...
    async def schedule(self, shop: Workshop, name: str, every: int, data: dict[str, Any]) -> None: ...
    async def work(self, shop: Workshop, **options: Any) -> Hand: ...


class Node:
    """A Node process with the real packages; see `peer.mjs`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def started(cls) -> AsyncIterator[Self]:
        """Without Node, or without BullMQ for it, a test is skipped; in CI it fails."""
        program = shutil.which("node")
        if not program or not all((HERE / "node_modules" / name).exists() for name in ("bullmq", "ioredis")):
            hint = "; `npm install --prefix tests/node` installs it" if program else ", nor is Node"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"Node's BullMQ is not here{hint}")
        process = await asyncio.create_subprocess_exec(
            *(program, str(HERE / "peer.mjs")), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
            yield cls(process)
        finally:
            process.stdin.close()
            try:
                assert await asyncio.wait_for(process.wait(), 20) == 0
            except TimeoutError:
                process.kill()
                raise

    async def call(self, shop: Workshop, verb: str, *arguments: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps([shop.url, shop.prefix, shop.policy.name, verb, *arguments])
        async with self._turn:
            self._process.stdin.write(f"{line}\n".encode())
            reply = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 20))
        assert "error" not in reply, reply["error"]
        return reply["answer"]

    async def queue(self, shop: Workshop, method: str, *arguments: Any) -> Any:
        return await self.call(shop, f"queue.{method}", *arguments)

    async def job(self, shop: Workshop, job_id: str) -> Mapping[str, Any]:
        job: dict[str, Any] = await self.queue(shop, "getJob", job_id)
        return job

    async def add(self, shop: Workshop, data: dict[str, Any], **options: Any) -> str:
        return str((await self.queue(shop, "add", "order", data, options))["id"])

    async def add_flow(self, shop: Workshop, flow: dict[str, Any]) -> str:
        return str((await self.call(shop, "flow.add", flow))["job"]["id"])

    async def schedule(self, shop: Workshop, name: str, every: int, data: dict[str, Any]) -> None:
        await self.queue(shop, "upsertJobScheduler", name, {"every": every}, {"name": "order", "data": data})

    async def work(self, shop: Workshop, **options: Any) -> Hand:
        number = await self.call(shop, "work", options)
        return Hand(lambda: self.call(shop, "runs", number), lambda: self.call(shop, "worker.close", number))


@dataclass
class Here:
    """This program, with its own workers, which may get batches, or with those of the stock package."""

    worker: type[bullmq.Worker] = Worker
    batch: int | None = None
    errors: list[object] = field(default_factory=list)

    async def queue(self, shop: Workshop, method: str, *arguments: Any) -> Any:
        return await getattr(shop.bullmq, method)(*arguments)

    async def job(self, shop: Workshop, job_id: str) -> Mapping[str, Any]:
        job = await bullmq.Job.fromId(shop.bullmq, job_id)
        return dict(vars(job))

    async def add(self, shop: Workshop, data: dict[str, Any], **options: Any) -> str:
        return str((await shop.bullmq.add("order", data, options)).id)

    async def add_flow(self, shop: Workshop, flow: dict[str, Any]) -> str:
        producer = bullmq.FlowProducer({"connection": shop.redis, "prefix": shop.prefix})
        return str((await producer.add(flow))["job"].id)

    async def schedule(self, shop: Workshop, name: str, every: int, data: dict[str, Any]) -> None:
        await shop.bullmq.upsertJobScheduler(name, {"every": every}, "order", data)

    async def work(self, shop: Workshop, **options: Any) -> Hand:
        runs: list[dict[str, Any]] = []

        async def process(job: Any, token: str) -> Any:
            return await perform(job, runs)

        async def so_far() -> list[dict[str, Any]]:
            return runs

        present = await shop.queues.count_workers(shop.policy.name)
        name = f"{self.worker.__module__}-{present}"  # several workers of one name are counted as one
        options = {"connection": shop.url, "prefix": shop.prefix, "name": name, **options}
        processor: Any = process
        if self.batch:
            processor, options["batch"] = one_by_one(process), self.batch
        worker = self.worker(shop.policy.name, processor, options)
        worker.on("error", lambda error, *_: self.errors.append(error))

        async def is_here() -> bool:
            return await shop.queues.count_workers(shop.policy.name) > present

        await eventually(is_here)
        return Hand(so_far, worker.close)


async def perform(job: Any, runs: list[dict[str, Any]]) -> Any:
    """What a job's data says is to be done with it; `perform` in peer.mjs does the same."""
    task = job.data
    run = {"number": task.get("number"), "id": job.id, "attempt": job.attemptsMade + 1, "from": time.time()}
    runs.append(run)
    if "log" in task:
        await job.log(task["log"])
    if "progress" in task:
        await job.updateProgress(task["progress"])
    await asyncio.sleep(task.get("milliseconds", 0) / 1000)
    run["to"] = time.time()
    if "final" in task:
        raise UnrecoverableError(task["final"])
    if job.attemptsMade < task.get("failures", 0):
        raise RuntimeError(f"attempt {run['attempt']} failed")
    return await job.getChildrenValues() if "gather" in task else task.get("result", "done")


class Fleet:
    """The sides by their names, and the workers they have started."""

    def __init__(self, node: Node, stack: AsyncExitStack) -> None:
        self.sides: dict[str, Side] = {"tidings": Here(), "node": node, "stock": Here(bullmq.Worker)}
        self.sides["tidings in batches"] = Here(batch=5)
        self._stack = stack

    def __getitem__(self, side: str) -> Side:
        return self.sides[side]

    async def work(self, side: str, shop: Workshop, **options: Any) -> Hand:
        """Starts a worker that is closed at the test's end."""
        hand = await self.sides[side].work(shop, **options)
        self._stack.push_async_callback(hand.close)
        return hand


@asynccontextmanager
async def open_fleet(node: Node) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        fleet = Fleet(node, stack)
        yield fleet
    for side in ("tidings", "tidings in batches"):
        ours = fleet[side]
        assert isinstance(ours, Here)
        assert ours.errors == []
