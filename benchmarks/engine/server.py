"""The one server that all contestants work on, and what it has done so far."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import bullmq
from redis.asyncio import Redis

from tidings.engine.redis import check_server, connect
from tidings.engine.valkey import EmbeddedValkey

_CHUNK = 1000
_SENT_BY_CLIENTS = ("eval", "bz", "ping", "hello", "info", "auth", "select", "time", "script|", "client|", "config|")
"""How the names of commands begin that come from a client; all others are called inside BullMQ's scripts."""


@contextmanager
def bench_server(redis_url: str | None) -> Iterator[str]:
    """The address of the given server, or of an embedded one that ends with the bench. Blocks for about 0.1 s."""
    if redis_url:
        yield redis_url
        return
    with tempfile.TemporaryDirectory(prefix="tidings-bench-") as folder:
        embedded = EmbeddedValkey.start_or_join(Path(folder))
        try:
            yield embedded.url
        finally:
            embedded.leave()


@dataclass(frozen=True, slots=True)
class Work:
    """What the server has done: seconds of CPU, commands as its statistics count them, requests of clients."""

    cpu: float
    commands: int
    requests: int

    def __sub__(self, earlier: Self) -> Work:
        return Work(self.cpu - earlier.cpu, self.commands - earlier.commands, self.requests - earlier.requests)


class Server:
    """The bench's own connection to the server, and its queues there."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.node_address = unquote(parts.path) if parts.scheme == "unix" else url
        # Not the engine's client: that one checks idle connections, and the checks would be counted.
        self.redis: Redis = Redis.from_url(url, decode_responses=True)

    async def open(self, *, embedded: bool) -> str:
        """The server's name and version. An embedded one keeps nothing on disk, for rewriting a file takes a core."""
        checking = connect(self.url)
        facts = await check_server(checking)
        await checking.aclose()
        if embedded:
            await self.redis.config_set("appendonly", "no")
        return f"{'Valkey' if facts.is_valkey else 'Redis'} {facts.version}{', embedded' if embedded else ''}"

    async def close(self) -> None:
        await self.redis.aclose()

    async def work(self) -> Work:
        """What it has done until now. Of two calls' difference, the first call is one command and one request."""
        info: dict[str, Any] = await self.redis.info("all")
        calls = {
            name.removeprefix("cmdstat_"): value["calls"]
            for name, value in info.items()
            if name.startswith("cmdstat_")
        }
        return Work(
            cpu=info["used_cpu_user"] + info["used_cpu_sys"],
            commands=sum(calls.values()),
            requests=sum(count for name, count in calls.items() if name.startswith(_SENT_BY_CLIENTS)),
        )

    def queue(self, prefix: str, name: str) -> Any:
        return bullmq.Queue(name, {"connection": self.redis, "prefix": prefix})

    async def fill(self, queue: Any, options: Sequence[dict[str, Any]]) -> None:
        """Adds a small job for each of these options."""
        for start in range(0, len(options), _CHUNK):
            await queue.addBulk(
                [{"name": "job", "data": {"number": 1}, "opts": opts} for opts in options[start : start + _CHUNK]]
            )

    async def clear(self, prefix: str) -> None:
        """Deletes everything under a prefix."""
        keys = [key async for key in self.redis.scan_iter(match=f"{prefix}:*", count=_CHUNK)]
        for start in range(0, len(keys), _CHUNK):
            await self.redis.unlink(*keys[start : start + _CHUNK])
