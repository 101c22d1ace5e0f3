"""The bench's side of the sink: starts its process, asks it, and ends it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.processes import Process

PAUSE = 0.05
"""Seconds between two questions how many came."""


class Sink:
    """A running sink. `url` is where messages are posted."""

    def __init__(self, port: int, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.url, self.pid = f"http://127.0.0.1:{port}/webhook", pid
        self._reader, self._writer = reader, writer

    async def arrivals(self) -> list[tuple[str, float]]:
        """The key of each message that came and when, in epoch seconds, in the order of their arrival."""
        return [(str(key), at) for key, at in json.loads(await self._ask("GET /arrivals"))]

    async def take(self) -> list[tuple[str, float]]:
        """The same, and forgets them: each is told once."""
        return [(str(key), at) for key, at in json.loads(await self._ask("DELETE /arrivals"))]

    async def count(self) -> int:
        return int(await self._ask("GET /count"))

    async def clear(self) -> None:
        """Forgets what came."""
        await self._ask("DELETE /")

    async def wait_for(self, messages: int, *, within: float, sender: Process | None = None) -> int:
        """How many came, once there are so many, none came for `within` seconds, or the sender ended."""
        loop = asyncio.get_running_loop()
        last, patience = -1, loop.time() + within
        while (count := await self.count()) < messages and loop.time() < patience:
            if count > last >= 0:
                patience = loop.time() + within
            if sender and not sender.is_running:
                break
            last = count
            await asyncio.sleep(PAUSE)
        return count

    async def _ask(self, line: str) -> bytes:
        self._writer.write(f"{line} HTTP/1.1\r\nhost: sink\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        return await self._reader.readexactly(int(head.rpartition(b":")[2]))


@asynccontextmanager
async def open_sink() -> AsyncIterator[Sink]:
    """A sink of its own, which ends with the bench, also when that is killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sink"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
    try:
        yield Sink(port, process.pid, reader, writer)
    finally:
        writer.close()
        process.stdin.close()
        await process.wait()
