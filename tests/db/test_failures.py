"""What an error of the database means: by SQLSTATE, as a server answers with it, and by SQLite's own codes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as NoConnection

from support.cases import every_case
from support.postgres_proxy import PostgresProxy
from tidings.db.database import open_database
from tidings.db.failures import Failure, failure_of, is_away, is_passing
from tidings.db.prepared import Prepared
from tidings.features.events.models import EventMessage

AWAY, BUSY, REFUSED = Failure.AWAY, Failure.BUSY, Failure.REFUSED

STATES = {
    "08001": AWAY,
    "08006": AWAY,
    "53000": AWAY,
    "53100": AWAY,
    "53200": AWAY,
    "53300": AWAY,
    "57P01": AWAY,
    "57P02": AWAY,
    "57P03": AWAY,
    "25006": AWAY,
    "58030": AWAY,
    "40001": BUSY,
    "40P01": BUSY,
    "55P03": BUSY,
    "57014": BUSY,
    "25P03": BUSY,
    "22001": REFUSED,
    "23505": REFUSED,
    "25P02": REFUSED,
    "28P01": REFUSED,
    "3D000": REFUSED,
    "42P01": REFUSED,
    "XX000": REFUSED,
}


def _from_sqlite(tmp_path: Path, *statements: str, address: str = "tidings.db") -> Exception:
    def run() -> None:
        with closing(sqlite3.connect(tmp_path / address, timeout=0)) as connection:
            for statement in statements:
                connection.execute(statement)

    with pytest.raises(sqlite3.Error) as raised:
        run()
    return raised.value


def _wrapped(error: Exception) -> DBAPIError:
    """As SQLAlchemy hands on what a driver raised."""
    return DBAPIError("SELECT 1", None, error)


def _raised_from(cause: Exception) -> Exception:
    error = RuntimeError("something else")
    error.__cause__ = cause
    return error


@every_case(
    "error, meant",
    [
        *((asyncpg.PostgresError.new({"C": state, "M": "no"}), meant) for state, meant in STATES.items()),
        *((_wrapped(asyncpg.PostgresError.new({"C": state, "M": "no"})), meant) for state, meant in STATES.items()),
        (ConnectionRefusedError(), AWAY),
        (TimeoutError(), AWAY),
        (FileNotFoundError("no socket"), AWAY),
        (NoConnection("every connection of the pool is taken"), AWAY),
        (asyncpg.InterfaceError("connection is closed"), AWAY),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), AWAY),
        (DBAPIError("SELECT 1", None, RuntimeError("torn"), connection_invalidated=True), AWAY),
        (_raised_from(_wrapped(asyncpg.CannotConnectNowError("starting up"))), AWAY),
        (asyncpg.InvalidCachedStatementError("cached statement plan is invalid"), BUSY),
        (InterfaceError("SELECT $1", None, asyncpg.DataError("invalid input for query argument $1")), REFUSED),
        (ValueError("a mistake of ours"), REFUSED),
        (RuntimeError("a mistake of ours"), REFUSED),
    ],
)
def test_an_error_says_whether_the_same_may_succeed_later(error: Exception, meant: Failure) -> None:
    assert failure_of(error) is meant
    assert (is_away(error), is_passing(error)) == (meant is AWAY, meant is not REFUSED)


def test_sqlite_s_errors_are_told_apart_too(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "tidings.db")) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN IMMEDIATE")
        locked = _from_sqlite(tmp_path, "BEGIN IMMEDIATE")
    lacking = _from_sqlite(tmp_path, "SELECT * FROM missing")
    full = _from_sqlite(tmp_path, "PRAGMA max_page_count = 2", "INSERT INTO t VALUES (zeroblob(100000))")
    nowhere = _from_sqlite(tmp_path, address="no/such/folder.db")
    read_only = _from_sqlite(tmp_path, "PRAGMA query_only = 1", "INSERT INTO t VALUES (1)")
    found = [failure_of(_wrapped(error)) for error in (lacking, locked, full, nowhere, read_only)]
    assert found == [REFUSED, BUSY, AWAY, AWAY, AWAY]


async def _found(work: Any) -> Failure:
    try:
        await work
    except Exception as error:
        return failure_of(error)
    raise AssertionError("nothing was refused")


async def test_whatever_a_server_answers_to_somebody_who_connects_is_told_apart(
    new_postgres_database: Callable[[], str],
) -> None:
    found: dict[str, Failure] = {}
    async with PostgresProxy(new_postgres_database()) as proxy:
        for state in STATES:
            proxy.at_connect = state
            database = open_database(proxy.url)
            found[state] = await _found(database.writer.connect().start())
            await database.close()
    assert found == STATES


async def test_whatever_a_server_answers_to_a_command_is_told_apart_on_every_path(
    new_postgres_database: Callable[[], str],
) -> None:
    found: list[dict[str, Failure]] = [{}, {}, {}]
    async with PostgresProxy(new_postgres_database()) as proxy:
        database = open_database(proxy.url)
        prepared = Prepared(select(EventMessage.id).where(EventMessage.id == 1), database.road.dialect)

        async def asked(engine: Any, run: Callable[[Any], Any]) -> None:
            async with engine.connect() as connection:
                proxy.at_command = state
                await run(connection)

        for state in STATES:
            found[0][state] = await _found(asked(database.writer, lambda one: one.execute(text("SELECT 2"))))
            found[1][state] = await _found(asked(database.road_at_once, lambda one: one.execute(text("SELECT 3"))))
            found[2][state] = await _found(asked(database.road_at_once, prepared.fetch))
        await database.close()
    assert found == [STATES] * 3


async def test_a_server_that_is_not_there_is_away(tmp_path: Path) -> None:
    for address in ("postgresql://127.0.0.1:1/nobody", f"postgresql:///nobody?host={tmp_path}"):
        database = open_database(address)
        assert await _found(database.writer.connect().start()) is AWAY
        await database.close()


async def test_a_pool_whose_connections_are_all_taken_is_away(new_postgres_database: Callable[[], str]) -> None:
    database = open_database(new_postgres_database(), timeout=0.1)
    taken = [await database.road.connect() for _ in range(8)]
    assert await _found(database.road.connect().start()) is AWAY
    await asyncio.gather(*(one.close() for one in taken))
    await database.close()
