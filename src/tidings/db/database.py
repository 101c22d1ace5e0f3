"""One engine a process, set up alike for SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any

from sqlalchemy import URL, AsyncAdaptedQueuePool, NullPool, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tidings.db.limits import PATIENCE, Circuit, Limits, connecting
from tidings.errors import ConfigurationError
from tidings.log import get_logger

log = get_logger(__name__)


class Database:
    """The database of one process.

    Whoever writes goes through `writer`, whoever only reads through `reader`. On PostgreSQL they are the
    same. On SQLite, which has one writer at a time, writers of this process queue for one connection
    instead of polling for its lock, and readers never wait for them. `road` is for messages on their way out: on
    PostgreSQL it has connections of its own, so that due messages wait for nobody else; `road_at_once` are the same
    connections, and each statement is a transaction. `probe` is one connection that is asked nothing but whether the
    database answers; `unhurried` makes one for whatever may take as long as it likes. `batches` is how many of the
    road's batches are worth having under way at once.
    """

    def __init__(
        self,
        writer: AsyncEngine,
        reader: AsyncEngine,
        road: AsyncEngine,
        *,
        probe: AsyncEngine,
        unhurried: AsyncEngine,
        circuit: Circuit | None = None,
        batches: int = 1,
    ) -> None:
        self.writer = writer
        self.reader = reader
        self.road = road
        at_once = road.dialect.name == "postgresql"
        self.road_at_once = road.execution_options(isolation_level="AUTOCOMMIT") if at_once else road
        self.unhurried = unhurried
        self.batches = batches
        self._probe = probe
        self._circuit = circuit

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self.writer.dialect.name

    async def answers(self) -> bool:
        """Whether the database answers now, asked on a connection that nobody else uses. Takes as long as a command
        of the road may take, at most."""
        try:
            async with self._probe.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except Exception:  # whatever it is, messages cannot leave
            return False
        return True

    async def close(self) -> None:
        """Closes every connection: for a few seconds with a farewell, what is left then without."""
        engines = {self.writer, self.reader, self.road, self._probe, self.unhurried}
        closing = asyncio.gather(*(engine.dispose() for engine in engines))
        try:
            await asyncio.wait_for(closing, CLOSING)
        except TimeoutError:
            log.warning("the database does not answer; its connections are closed without it")
        finally:
            if self._circuit is not None:
                self._circuit.end()


CLOSING = 2.0
"""Seconds that connections have to be closed with a farewell."""

WAL_ATTEMPTS = 500

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


def open_database(address: str, *, timeout: float = 5.0) -> Database:
    """The database at `sqlite:///path` or `postgresql://…`.

    SQLite runs in WAL mode with full synchronisation, so a committed message survives a power cut, and
    every writing transaction takes the writer's place at its start instead of failing half-way.
    On PostgreSQL `timeout` is how many seconds a command of the road may take; all others have `PATIENCE` times as
    many.
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
        return _open_postgres(url, timeout)
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("DATABASE_URL needs a file: sqlite:///path (several workers share it).")
    Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # BEGIN IMMEDIATE takes the writer's place at once, so that no transaction fails half-way.
    writer = _sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
    reader = _sqlite_engine(url, "BEGIN", pool_size=4, max_overflow=4)
    probe = _sqlite_engine(url, "BEGIN", pool_size=1, max_overflow=0)
    return Database(writer, reader, writer, probe=probe, unhurried=writer)


def _open_postgres(url: URL, timeout: float) -> Database:
    circuit, road_limits, limits = Circuit(), Limits(timeout), Limits(PATIENCE * timeout)
    engine = create_async_engine(
        url, pool_size=8, max_overflow=8, pool_timeout=limits.command, connect_args=connecting(limits)
    )
    circuit.watch(engine, asks=timeout)
    # No question whether a connection still lives before each batch: it would cost a due message a round trip.
    # Who finds one dead begins again with a new one. The last one used is taken: it knows the statements.
    # The driver would forget them when they are long, or were not used for five minutes.
    keeping = {"max_cached_statement_lifetime": 0, "max_cacheable_statement_size": 0}
    arguments = {**connecting(road_limits), **keeping}
    road = create_async_engine(
        url, pool_size=4, max_overflow=4, pool_timeout=timeout, pool_use_lifo=True, connect_args=arguments
    )
    circuit.watch(road)
    probe = create_async_engine(
        url, pool_size=1, max_overflow=0, pool_timeout=timeout, connect_args=connecting(road_limits)
    )
    circuit.watch(probe)
    unhurried = create_async_engine(url, poolclass=NullPool, connect_args=connecting(Limits(None)))
    return Database(engine, engine, road, probe=probe, unhurried=unhurried, circuit=circuit)


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
