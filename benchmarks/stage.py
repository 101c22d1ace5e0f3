"""Where contestants that deliver messages perform: one PostgreSQL, one Valkey and one sink, for each in turn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.engine.server import Server, bench_server
from benchmarks.processes import Process, cpu_of
from benchmarks.servers.postgres import Postgres, bench_postgres
from benchmarks.sink.client import Sink, open_sink
from tidings import log

CACHE = Path(".benchmarks").absolute()
"""Folder of what is fetched and found: packages of the peers, results. Git does not see it."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU that the parts of a stage have used."""

    worker: float
    postgres: float
    redis: float
    sink: float

    def __sub__(self, earlier: Self) -> Cpu:
        return Cpu(
            self.worker - earlier.worker,
            self.postgres - earlier.postgres,
            self.redis - earlier.redis,
            self.sink - earlier.sink,
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """The servers, a folder for everybody's files, and `say`, which gets a line now and then."""

    postgres: Postgres
    redis: Server
    redis_pid: int
    sink: Sink
    folder: Path
    versions: dict[str, str]
    say: Callable[[str], None]

    async def clear(self) -> None:
        """Forgets everything that the one before has left in Valkey and in the sink."""
        await self.redis.redis.flushall()
        await self.sink.clear()
        await self.postgres.rest()

    def cpu(self, worker: Process) -> Cpu:
        """What a worker and the servers have used until now."""
        return Cpu(cpu_of(worker.pid), cpu_of(self.postgres.pid), cpu_of(self.redis_pid), cpu_of(self.sink.pid))


@asynccontextmanager
async def open_stage(say: Callable[[str], None]) -> AsyncIterator[Stage]:
    """Servers of the bench's own, which end with it."""
    log.configure(level="ERROR")
    with tempfile.TemporaryDirectory(prefix="tidings-bench-") as folder, bench_server(None) as url:
        redis = Server(url)
        async with bench_postgres() as postgres, open_sink() as sink:
            versions = {
                "load before": f"load {os.getloadavg()[0]:.1f} before",
                "redis": await redis.open(embedded=True),
                "postgresql": f"PostgreSQL {postgres.version}",
            }
            pid = int((await redis.redis.info("server"))["process_id"])
            try:
                yield Stage(postgres, redis, pid, sink, Path(folder), versions, say)
            finally:
                await redis.close()
