"""Contestants that are one program: it schedules jobs, and its worker reads a row, posts it and updates the row."""

from __future__ import annotations

import json
import shutil
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.contestants.base import Contestant, Effort, Running
from benchmarks.processes import Process, running
from benchmarks.stage import Stage

PEERS = Path(__file__).parent.parent / "peers"

TABLE = """
    CREATE TABLE messages (
        id bigint PRIMARY KEY,
        phone text NOT NULL,
        body text NOT NULL,
        status text NOT NULL DEFAULT 'scheduled',
        scheduled_time timestamptz NOT NULL,
        sent_at timestamptz
    )
"""
ROWS = """
    INSERT INTO messages (id, phone, body, scheduled_time)
    SELECT number, '+1313' || (2000000 + number), 'Hi Ada Abara ' || number || ', how was DemoCon? 1 to 5', now()
    FROM generate_series(1, $1::bigint) AS number
"""


class Program(Running):
    """A table `messages`, a worker that sends its rows, and a command that schedules their jobs."""

    def __init__(
        self, worker: Process, session: asyncpg.Connection[Any], command: Sequence[str], **started: Any
    ) -> None:
        self.worker = worker
        self._session, self._command, self._started = session, command, started
        self._dues: dict[str, float] = {}

    async def schedule(self, dues: Sequence[float]) -> Effort:
        """The rows are there before anybody looks at the clock."""
        await self._session.execute(ROWS, len(dues))
        await self._session.execute("ANALYZE messages")
        self._dues = {str(number): due for number, due in enumerate(dues, 1)}
        folder: Path = self._started["folder"]
        (folder / "dues.json").write_text(json.dumps([[number, due * 1000] for number, due in enumerate(dues, 1)]))
        log = folder / "schedule.log"
        process = await Process.start((*self._command, str(folder / "dues.json")), **{**self._started, "log": log})
        await process.succeeded()
        said = json.loads(log.read_text().splitlines()[-1])
        return Effort(said["seconds"], said["cpu"])

    async def sent(self) -> int:
        return int(await self._session.fetchval("SELECT count(*) FROM messages WHERE status = 'sent'"))

    async def dues(self) -> dict[str, float]:
        return self._dues


class ProgramContestant(Contestant):
    """One program and the commands that run it."""

    pace = 2000.0

    @abstractmethod
    def worker_command(self, concurrency: int) -> Sequence[str]:
        """Starts its worker."""

    @abstractmethod
    def schedule_command(self) -> Sequence[str]:
        """Schedules the jobs of a file [[id, epoch milliseconds], …], which comes last, and says what it took."""

    async def set_up(self, variables: Mapping[str, str], folder: Path) -> None:
        """What it wants in a new database beside the table of messages; usually nothing."""

    @asynccontextmanager
    async def at_work(self, stage: Stage, *, concurrency: int) -> AsyncIterator[Program]:
        folder = stage.folder / self.key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        database = await stage.postgres.create()
        session = await asyncpg.connect(database)
        variables = {
            "DATABASE_URL": database,
            "REDIS_URL": stage.redis.url,
            "SINK_URL": stage.sink.url,
            "CONCURRENCY": str(concurrency),
        }
        started: dict[str, Any] = {"variables": variables, "folder": folder}
        try:
            await session.execute(TABLE)
            await self.set_up(variables, folder)
            command = self.worker_command(concurrency)
            async with running(command, log=folder / "worker.log", **started) as worker:
                yield Program(worker, session, self.schedule_command(), **started)
        finally:
            await session.close()
            await stage.postgres.drop(database)
