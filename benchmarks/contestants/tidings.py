"""Tidings as it ships: messages scheduled through its facade, delivered by `tidings worker`."""

from __future__ import annotations

import csv
import platform
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contestants.base import Contestant, Effort, Installation
from benchmarks.processes import Process, Processes
from benchmarks.stage import Stage
from tidings.cli.demo.rehearsal import OFFLINE
from tidings.client import Tidings

MESSAGE_TYPE = "pcr_request"
"""A text message about the whole event that is worth sending all day."""

COMMAND = (sys.executable, "-m", "tidings")


class TidingsInstallation(Installation):
    """An event's people without a message yet, and the facade that schedules for them."""

    def __init__(self, tidings: Tidings, event_id: int, start: Callable[[], Awaitable[Process]]) -> None:
        super().__init__()
        self.tidings, self.event_id, self._start = tidings, event_id, start

    async def start_worker(self) -> None:
        self.worker = await self._start()

    async def fill(self, messages: int) -> None:
        """Nothing: it writes its rows itself."""

    async def schedule(self, dues: Sequence[float]) -> Effort:
        wanted = [
            {
                "event_id": self.event_id,
                "contractor_id": number,
                "message_type": MESSAGE_TYPE,
                "scheduled_time": datetime.fromtimestamp(due, UTC),
            }
            for number, due in enumerate(dues, len(self.dues) + 1)
        ]
        began = time.perf_counter(), time.process_time()
        rows = await self.tidings.events.schedule_bulk_event_messages(wanted)
        effort = Effort(time.perf_counter() - began[0], time.process_time() - began[1])
        self.dues |= {str(row.id): due for row, due in zip(rows, dues, strict=True)}
        return effort

    async def sent(self) -> int:
        counts = await self.tidings.events.count_messages(self.event_id)
        return sum(count for status, _, count in counts if status == "sent")


class TidingsContestant(Contestant):
    """Tidings on one of its databases. Every round starts with a copy of the same people."""

    pace = 1000.0

    def __init__(self, database: str) -> None:
        self.key = f"tidings-{database.lower()}"
        self.label = f"Tidings, {database}"
        self._on_postgres = database == "PostgreSQL"
        self._people = 0
        self._pattern = ""
        self._event_id = 0

    def version(self) -> str:
        return f"tidings {version('tidings')}, Python {platform.python_version()}"

    async def prepare(self, stage: Stage, messages: int) -> None:
        if self._people >= messages:
            return
        self._people = messages
        folder = stage.folder / f"{self.key}-pattern"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self._pattern = await stage.postgres.create() if self._on_postgres else f"sqlite:///{folder / 'tidings.db'}"
        async with self._open(stage, self._pattern, folder, migrate=True) as tidings:
            event = await tidings.events.create_event({"name": "DemoCon", "date": datetime.now(UTC).date()})
            self._event_id = event.id
        stage.say(f"{self.label}: {messages:,} people")
        _write_people(folder / "people.csv", messages)
        async with Processes(self.variables(stage, self._pattern, folder), folder) as processes:
            command = (*COMMAND, "import", "people", "people.csv")
            await (await processes.start(command, "import.log")).succeeded()

    @asynccontextmanager
    async def installed(
        self, stage: Stage, *, concurrency: int, prefix: str = "bull"
    ) -> AsyncIterator[TidingsInstallation]:
        """`prefix` is that of its keys in Redis; with different ones several installations are there at once."""
        folder = stage.folder / f"{self.key}-{prefix}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if self._on_postgres:
            database = await stage.postgres.create(like=self._pattern)
        else:
            for file in (stage.folder / f"{self.key}-pattern").glob("tidings.db*"):
                shutil.copy(file, folder)
            database = f"sqlite:///{folder / 'tidings.db'}"
        variables = {
            **self.variables(stage, database, folder),
            "REDIS_PREFIX": prefix,
            "EVENT_MESSAGES_RATE_LIMIT": "off",
            "EVENT_MESSAGES_CONCURRENCY": str(concurrency),
        }
        try:
            async with (
                Processes(variables, folder) as processes,
                self._open(stage, database, folder, redis_prefix=prefix) as tidings,
            ):
                yield TidingsInstallation(
                    tidings, self._event_id, lambda: processes.start((*COMMAND, "worker"), "worker.log")
                )
        finally:
            if self._on_postgres:
                await stage.postgres.drop(database)

    def variables(self, stage: Stage, database: str, folder: Path) -> Mapping[str, str]:
        """The environment of its commands."""
        return {
            "DATABASE_URL": database,
            "REDIS_URL": stage.redis.url,
            "TIDINGS_DATA_DIR": str(folder / "data"),
            "N8N_OUTBOUND_WEBHOOK_URL": stage.sink.url,
        }

    def _open(self, stage: Stage, database: str, folder: Path, **more: Any) -> Tidings:
        servers = {"database_url": database, "redis_url": stage.redis.url, "data_dir": folder / "data"}
        return Tidings(**{**OFFLINE, **servers, **more})


def _write_people(path: Path, people: int) -> None:
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("name", "phone"))
        lines.writerows((f"Ada Abara {number}", f"+1313{2_000_000 + number}") for number in range(people))
