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

from benchmarks.contestants.base import Contestant, Effort, Installation
from benchmarks.processes import Processes
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
    FROM generate_series($1::bigint, $2::bigint) AS number
"""


class Program(Installation):
    """A table `messages`, a worker that sends its rows, and a command that schedules their jobs."""

    def __init__(
        self,
        contestant: ProgramContestant,
        processes: Processes,
        folder: Path,
        session: asyncpg.Connection[Any],
        concurrency: int,
    ) -> None:
        super().__init__()
        self._contestant, self._processes, self._folder = contestant, processes, folder
        self._session, self._concurrency = session, concurrency

    async def start_worker(self) -> None:
        self.worker = await self._processes.start(self._contestant.worker_command(self._concurrency), "worker.log")

    async def fill(self, messages: int) -> None:
        if not self._contestant.writes_rows:
            await self._session.execute(ROWS, len(self.dues) + 1, len(self.dues) + messages)
            await self._session.execute("ANALYZE messages")

    async def schedule(self, dues: Sequence[float]) -> Effort:
        numbers = range(len(self.dues) + 1, len(self.dues) + len(dues) + 1)
        self.dues |= dict(zip(map(str, numbers), dues, strict=True))
        wanted = self._folder / "dues.json"
        wanted.write_text(json.dumps([[n, round(due * 1000)] for n, due in zip(numbers, dues, strict=True)]))
        command = (*self._contestant.schedule_command(), str(wanted))
        process = await self._processes.start(command, "schedule.log")
        await process.succeeded()
        said = json.loads(process.log.read_text().splitlines()[-1])
        return Effort(said["seconds"], said["cpu"])

    async def sent(self) -> int:
        return int(await self._session.fetchval("SELECT count(*) FROM messages WHERE status = 'sent'"))


class ProgramContestant(Contestant):
    """One program and the commands that run it."""

    pace = 2000.0
    writes_rows = False

    @abstractmethod
    def worker_command(self, concurrency: int) -> Sequence[str]:
        """Starts its worker."""

    @abstractmethod
    def schedule_command(self) -> Sequence[str]:
        """Schedules the jobs of a file [[id, epoch milliseconds], …], which comes last, and says what it took."""

    def variables(self) -> Mapping[str, str]:
        """Variables of its commands beside those that say where the servers are."""
        return {}

    async def set_up(self, processes: Processes) -> None:
        """What it wants in a new database beside the table of messages; usually nothing."""

    @asynccontextmanager
    async def installed(self, stage: Stage, *, concurrency: int) -> AsyncIterator[Program]:
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
            **self.variables(),
        }
        try:
            await session.execute(TABLE)
            async with Processes(variables, folder) as processes:
                await self.set_up(processes)
                yield Program(self, processes, folder, session, concurrency)
        finally:
            await session.close()
            await stage.postgres.drop(database)
