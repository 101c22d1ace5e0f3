"""One engine a process, set up alike for SQLite and PostgreSQL."""

from __future__ import annotations

import time
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any

from sqlalchemy import URL, AsyncAdaptedQueuePool, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError
from sqlalchemy.exc import OperationalError as DatabaseOperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tidings.errors import ConfigurationError


class Database:
    """The database of one process.

    Whoever writes goes through `writer`, whoever only reads through `reader`. On PostgreSQL they are the
    same. On SQLite, which has one writer at a time, writers of this process queue for one connection
    instead of polling for its lock, and readers never wait for them. `road` is for messages on their way out: on
    PostgreSQL it has connections of its own, so that due messages wait for nobody else; `road_at_once` are the same
    connections, and each statement is a transaction. `batches` is how many of their batches are worth having under
    way at once.
    """

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, road: AsyncEngine, *, batches: int) -> None:
        self.writer = writer
        self.reader = reader
        self.road = road
        at_once = road.dialect.name == "postgresql"
        self.road_at_once = road.execution_options(isolation_level="AUTOCOMMIT") if at_once else road
        self.batches = batches

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self.writer.dialect.name

    async def close(self) -> None:
        """Closes every connection."""
        await self.writer.dispose()
        await self.reader.dispose()
        await self.road.dispose()


WAL_ATTEMPTS = 500

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


def open_database(address: str) -> Database:
    """The database at `sqlite:///path` or `postgresql://…`.

    SQLite runs in WAL mode with full synchronisation, so a committed message survives a power cut, and
    every writing transaction takes the writer's place at its start instead of failing half-way.
    Raises ConfigurationError for an address of another kind.
    """
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise ConfigurationError(
            "DATABASE_URL is not a database address; write sqlite:///path or postgresql://user:password@host/name."
        ) from error
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise ConfigurationError(
            f"DATABASE_URL names {url.drivername!r}; Tidings runs on sqlite:///path or postgresql://…"
        )
    url = url.set(drivername=driver)
    if driver == "postgresql+asyncpg":
        engine = create_async_engine(url, pool_size=8, max_overflow=8, pool_pre_ping=True)
        # No question whether a connection still lives before each batch: it would cost a due message three round
        # trips. Who finds one dead begins again with a new one. The last one used is taken: it knows the statements.
        # The driver would forget them when they are long, or were not used for five minutes.
        keeping = {"max_cached_statement_lifetime": 0, "max_cacheable_statement_size": 0}
        road = create_async_engine(url, pool_size=4, max_overflow=4, pool_use_lifo=True, connect_args=keeping)
        return Database(engine, engine, road, batches=1)
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("DATABASE_URL needs a file: sqlite:///path (several workers share it).")
    Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # BEGIN IMMEDIATE takes the writer's place at once, so that no transaction fails half-way.
    writer = _sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
    return Database(writer, _sqlite_engine(url, "BEGIN", pool_size=4, max_overflow=4), writer, batches=1)


def _sqlite_engine(url: URL, begin: str, **pool: int) -> AsyncEngine:
    engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, connect_args={"timeout": 30}, **pool)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    cursor = connection.cursor()
    for patience in range(WAL_ATTEMPTS, 0, -1):
        # Only the first connection to a new file changes the mode; SQLite's own time-out does not cover that.
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except OperationalError:
            if patience == 1:
                raise
            time.sleep(0.02)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def is_away(error: Exception) -> bool:
    """Whether the database cannot be reached just now, as opposed to refusing what it was asked."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, (DatabaseOperationalError, InterfaceError, NoConnection, OSError))
