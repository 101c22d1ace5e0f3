"""One engine a process, set up alike for SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from sqlite3 import OperationalError
from typing import Any

from sqlalchemy import URL, AsyncAdaptedQueuePool, NullPool, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tidings.db.addresses import PostgresAddress, SqliteAddress, read_address
from tidings.db.limits import PATIENCE, Circuit, Limits, connecting, limit_each
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
    road's batches are worth having under way at once, `notes` what somebody should know about the address.
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
        notes: Sequence[str] = (),
    ) -> None:
        self.writer = writer
        self.reader = reader
        self.road = road
        at_once = road.dialect.name == "postgresql" and not road.get_execution_options().get("is_pooled")
        self.road_at_once = road.execution_options(isolation_level="AUTOCOMMIT") if at_once else road
        self.unhurried = unhurried
        self.batches = batches
        self.notes = tuple(notes)
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


def open_database(address: str, *, timeout: float = 5.0) -> Database:
    """The database at `sqlite:///path` or `postgresql://…`; `read_address` says what else there may be in it.

    SQLite runs in WAL mode with full synchronisation, so a committed message survives a power cut, and
    every writing transaction takes the writer's place at its start instead of failing half-way.
    On PostgreSQL `timeout` is how many seconds a command of the road may take; all others have `PATIENCE` times as
    many.
    Raises ConfigurationError for an address that cannot be used.
    """
    found = read_address(address)
    return _open_postgres(found, timeout) if isinstance(found, PostgresAddress) else _open_sqlite(found)


def _open_sqlite(address: SqliteAddress) -> Database:
    try:
        address.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {address.path.parent} of the database cannot be made: {error.strerror}. Name another one."
        ) from error
    if address.path.is_dir():
        raise ConfigurationError(f"The database cannot be {address.path}, which is a folder. Name a file in it.")
    url = URL.create("sqlite+aiosqlite", database=str(address.path))
    # BEGIN IMMEDIATE takes the writer's place at once, so that no transaction fails half-way.
    writer = _sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
    reader = _sqlite_engine(url, "BEGIN", pool_size=4, max_overflow=4)
    probe = _sqlite_engine(url, "BEGIN", pool_size=1, max_overflow=0)
    return Database(writer, reader, writer, probe=probe, unhurried=writer, notes=address.notes)


def _open_postgres(address: PostgresAddress, timeout: float) -> Database:
    circuit, road_limits, limits = Circuit(), Limits(timeout), Limits(PATIENCE * timeout)

    def engine_with(limits: Limits, arguments: Mapping[str, Any] | None = None, **pool: Any) -> AsyncEngine:
        connect_args = {**connecting(limits, address), **(arguments or {})}
        # Where it connects, and with what, the driver alone knows: nothing of it is in the engine's own address.
        engine = create_async_engine("postgresql+asyncpg://", connect_args=connect_args, **pool)
        if address.is_pooled:
            engine.sync_engine.update_execution_options(is_pooled=True)
            limit_each(engine, limits, address)
        return engine

    engine = engine_with(limits, pool_size=8, max_overflow=8, pool_timeout=limits.command)
    circuit.watch(engine, asks=timeout)
    # No question whether a connection still lives before each batch: it would cost a due message a round trip.
    # Who finds one dead begins again with a new one. The last one used is taken: it knows the statements.
    # The driver would forget them when they are long, or were not used for five minutes.
    keeping = {"max_cached_statement_lifetime": 0, "max_cacheable_statement_size": 0}
    road = engine_with(road_limits, keeping, pool_size=4, max_overflow=4, pool_timeout=timeout, pool_use_lifo=True)
    circuit.watch(road)
    probe = engine_with(road_limits, pool_size=1, max_overflow=0, pool_timeout=timeout)
    circuit.watch(probe)
    unhurried = engine_with(Limits(None), poolclass=NullPool)
    return Database(engine, engine, road, probe=probe, unhurried=unhurried, circuit=circuit, notes=address.notes)


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
