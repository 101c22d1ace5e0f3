"""A Python worker's process: python -m benchmarks.engine.contestant ours|stock OPTIONS.

It says in a line of JSON that it is ready, answers each line of its input with a line, and ends with its input.
contestant.mjs is the same for Node.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import bullmq

from tidings.engine import Worker

WORKERS: dict[str, Any] = {"ours": Worker, "stock": bullmq.Worker}
Process = Callable[[Any, str], Awaitable[None]]


async def main(kind: str, options: dict[str, Any]) -> None:
    """Talks with the bench until it ends the input."""

    def work(queue: str, process: Process) -> Any:
        worker = WORKERS[kind](
            queue,
            process,
            {
                "connection": address(kind, options["address"]),
                "prefix": options["prefix"],
                "concurrency": options["concurrency"],
            },
        )
        worker.on("error", lambda error, *_: print(f"{kind}: {error!r}", file=sys.stderr))
        return worker

    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    started: dict[str, float] = {}
    workers = []  # somebody has to hold them

    async def note(job: Any, token: str) -> None:
        started[job.id] = time.time() * 1000

    gc.collect()
    gc.freeze()
    if not options["jobs"]:
        workers = [work(queue, note) for queue in options["queues"]]
    say({"runtime": f"Python {platform.python_version()}", "bullmq": bullmq.__version__})
    while await questions.readline():
        if options["jobs"]:
            say(await race(lambda process: work(options["queues"][0], process), options["jobs"]))
        else:
            say({"started": started, "cpu": time.process_time(), "workers": len(workers)})


def address(kind: str, url: str) -> str:
    """The server's address as each worker needs it.

    The stock worker waits up to 10 s in one read, which redis-py 8 gives up after 5 s unless told otherwise; then
    it connects anew with growing pauses in which it hears nothing. It is compared as it is meant to work.
    """
    if kind == "ours":
        return url
    return f"{url}{'&' if '?' in url else '?'}socket_timeout=60"


async def race(work: Callable[[Process], Any], jobs: int) -> dict[str, float]:
    """Seconds, and seconds of this process's CPU, from the first job's start to the last one's completion."""
    began: tuple[float, float] | None = None
    left = jobs
    ended: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()

    async def process(job: Any, token: str) -> None:
        nonlocal began
        if began is None:
            began = (time.perf_counter(), time.process_time())

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            ended.set_result((time.perf_counter(), time.process_time()))

    worker = work(process)
    worker.on("completed", count)
    over = await ended
    assert began is not None
    return {"seconds": over[0] - began[0], "cpu": over[1] - began[1]}


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


async def _until_told_to_end() -> None:
    await main(sys.argv[1], json.loads(sys.argv[2]))
    os._exit(0)  # closing takes a stock worker up to 5 s, and the bench throws its queues away


if __name__ == "__main__":
    asyncio.run(_until_told_to_end())
