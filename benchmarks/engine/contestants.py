"""Who is compared, and how the bench runs each: in a fresh process that it talks to in lines of JSON."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine.server import Server
from tidings.errors import ConfigurationError, TidingsError

OURS, STOCK, NODE = "ours", "stock", "node"
LABELS = {OURS: "Tidings", STOCK: "Python", NODE: "Node"}

ANSWER_TIMEOUT = 120.0  # seconds; a slow machine works off the no-op jobs in less
_END_TIMEOUT = 5.0
_LINE_LIMIT = 2**24  # bytes; a report names every delayed job


class ContestantFailed(TidingsError):
    """A contestant's process ended, did not answer or lost jobs; what it said is on standard error."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One that is compared; `command` starts its process, to which its options are added as JSON."""

    key: str
    command: tuple[str, ...]

    @property
    def label(self) -> str:
        return LABELS[self.key]

    @asynccontextmanager
    async def started(
        self, server: Server, prefix: str, queues: Sequence[str], *, concurrency: int, jobs: int = 0
    ) -> AsyncIterator[Running]:
        """Its process, with a worker for each queue. With `jobs` it waits for the first question, works off
        so many and answers with its pace; without, it works at once and answers with what it has started.
        """
        options = {
            "address": server.node_address if self.key == NODE else server.url,
            "prefix": prefix,
            "queues": list(queues),
            "concurrency": concurrency,
            "jobs": jobs,
        }
        process = await asyncio.create_subprocess_exec(
            *(*self.command, json.dumps(options)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
            start_new_session=True,  # a Ctrl-C is for the bench, which ends its processes
        )
        running = Running(self, process)
        try:
            running.versions = await running.answer()
            yield running
        finally:
            await running.end()


class Running:
    """A contestant's process. It ends when its input does, also when the bench was killed."""

    def __init__(self, contestant: Contestant, process: asyncio.subprocess.Process) -> None:
        self.versions: dict[str, Any] = {}
        self._contestant, self._process = contestant, process

    async def ask(self) -> dict[str, Any]:
        """The only question there is: how far are you?"""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_TIMEOUT)
        except TimeoutError:
            line = b""
        if not line:
            raise ContestantFailed(f"the process of {self._contestant.label} does not answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def starts(self, expected: int, *, within: float) -> dict[str, float]:
        """When each job's processor started (epoch milliseconds), once there are so many."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            started: dict[str, float] = (await self.ask())["started"]
            if len(started) >= expected:
                return started
            if asyncio.get_running_loop().time() > deadline:
                missing = expected - len(started)
                raise ContestantFailed(f"{self._contestant.label} did not start {missing} of {expected} jobs")
            await asyncio.sleep(0.25)

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_TIMEOUT)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def find_contestants(node_modules: Path | None) -> tuple[list[Contestant], str | None]:
    """Everybody who can be run here, and why Node cannot when it cannot.

    Raises ConfigurationError when a folder is named that has no bullmq in it.
    """
    python = (sys.executable, "-m", "benchmarks.engine.contestant")
    found = [Contestant(key, (*python, key)) for key in (OURS, STOCK)]
    if node_modules and not _has_bullmq(node_modules):
        raise ConfigurationError(f"{node_modules} has no bullmq and ioredis. Name a node_modules that has, or none.")
    node = shutil.which("node")
    modules = node_modules or _node_modules(Path.cwd())
    if node is None:
        return found, "There is no node here, so Node's worker is left out."
    if modules is None:
        return found, "There is no bullmq for Node here (npm install bullmq ioredis), so its worker is left out."
    script = Path(__file__).with_name("contestant.mjs")
    return [*found, Contestant(NODE, (node, str(script), str(modules.absolute())))], None


def _node_modules(folder: Path) -> Path | None:
    for parent in (folder, *folder.parents):
        for modules in (parent / "node_modules", parent / "tests" / "node" / "node_modules"):
            if _has_bullmq(modules):
                return modules
    return None


def _has_bullmq(modules: Path) -> bool:
    return all((modules / package / "package.json").exists() for package in ("bullmq", "ioredis"))
