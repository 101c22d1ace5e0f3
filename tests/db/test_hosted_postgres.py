"""PostgreSQL as hosts offer it: encrypted, in a schema of one's own, and behind PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from sqlalchemy import text

from messages.delivery.test_ahead import Counter, schedule, until
from messages.due_messages import OpenApp
from support.postgres import Postgres
from support.postgres_doors import PGBOUNCER, encrypting, parts_of, pgbouncer
from support.postgres_proxy import PostgresProxy
from tidings.db.database import Database, open_database
from tidings.db.migrate import require_current, upgrade
from tidings.errors import ConfigurationError
from tidings.messages.statuses import Status

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Database]:
    database = open_database(address, timeout=2.0)
    try:
        yield database
    finally:
        await database.close()


async def ask(database: Database, question: str) -> Any:
    async with database.reader.connect() as connection:
        return await connection.scalar(text(question))


class Authority:
    """An authority with a server's certificate, and another one that has nothing to do with it."""

    def __init__(self, folder: Path) -> None:
        own, other = trustme.CA(), trustme.CA()
        self.file, self.other = folder / "own.pem", folder / "other.pem"
        own.cert_pem.write_to_path(self.file)
        other.cert_pem.write_to_path(self.other)
        self.server = _context(own, "localhost")


def _context(authority: trustme.CA, name: str) -> Any:
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def address(new_postgres_database: Callable[[], str]) -> str:
    return new_postgres_database()


async def test_a_connection_is_encrypted_where_the_address_wants_it(address: str, authority: Authority) -> None:
    _, name = parts_of(address)
    async with encrypting(address, authority.server) as port:
        for options in (
            "sslmode=require",
            "sslmode=require&channel_binding=require",
            f"sslmode=verify-ca&sslrootcert={authority.file}",
            f"sslmode=verify-full&sslrootcert={authority.file}",
            f"sslrootcert={authority.file}",
        ):
            async with opened(f"postgres://postgres:p%2Fw@localhost:{port}/{name}?{options}") as database:
                await require_current(database)


async def test_a_server_that_proves_nothing_is_refused_in_a_sentence(address: str, authority: Authority) -> None:
    _, name = parts_of(address)
    async with encrypting(address, authority.server) as port:
        at = f"postgres://postgres:hunter2@%s:{port}/{name}?%s"
        for wrong in (
            at % ("localhost", f"sslmode=verify-full&sslrootcert={authority.other}"),
            at % ("localhost", "sslmode=verify-full"),
            at % ("127.0.0.1", f"sslmode=verify-full&sslrootcert={authority.file}"),
        ):
            async with opened(wrong) as database:
                with pytest.raises(ConfigurationError, match="certificate") as raised:
                    await require_current(database)
                assert "hunter2" not in f"{raised.value} {raised.value.__cause__}"


async def test_a_server_without_encryption_is_refused_where_the_address_wants_it(address: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"N")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with opened(f"postgres://u:hunter2@127.0.0.1:{port}/d?sslmode=require") as database:
            with pytest.raises(ConfigurationError, match="rejected SSL upgrade"):
                await require_current(database)


@pytest.mark.parametrize("state", ["28P01", "28000", "3D000"])
async def test_a_password_that_is_wrong_is_told_in_a_sentence(address: str, state: str) -> None:
    async with PostgresProxy(address) as proxy:
        proxy.at_connect = state
        async with opened(proxy.url.replace("postgres:@", "postgres:hunter2@")) as database:
            for begin in (require_current, upgrade):
                with pytest.raises(ConfigurationError, match="does not let Tidings in") as raised:
                    await begin(database)
                assert "hunter2" not in str(raised.value)


async def test_tables_are_in_the_schema_that_the_address_names(postgres: Postgres) -> None:
    with postgres.new(empty=True) as address:
        async with opened(address) as database, database.writer.begin() as connection:
            await connection.execute(text("CREATE SCHEMA mine"))
        async with opened(f"{address}&schema=mine&application_name=tidings-test") as database:
            await upgrade(database)
            assert await ask(database, "SELECT current_schema()") == "mine"
            assert await ask(database, "SELECT current_setting('application_name')") == "tidings-test"
            tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            assert await ask(database, tables) == 0


@pytest.fixture
def pooled(address: str) -> Iterator[str]:
    """The database behind a PgBouncer that has two connections of it."""
    _, name = parts_of(address)
    with pgbouncer(address, pool_size=2) as port:
        yield f"postgres://tidings@127.0.0.1:{port}/{name}"


@needs_pgbouncer
async def test_a_burst_goes_out_once_behind_pgbouncer(open_app: OpenApp, pooled: str) -> None:
    provider = Counter()
    provider.open.set()
    app = await open_app(database_url=f"{pooled}?pgbouncer=true&sslmode=prefer", providers={"sms": provider})
    await schedule(app, 300)
    await app.start_workers(["event-messages"])
    await until(app, Status.SENT, 300)
    assert len(set(provider.taken)) == len(provider.taken) == 300


@needs_pgbouncer
async def test_limits_hold_behind_pgbouncer_and_nobody_else_gets_them(pooled: str) -> None:
    async with opened(f"{pooled}?pgbouncer=true&search_path=public") as database:
        limit, path = "SELECT current_setting('statement_timeout')", "SELECT current_setting('search_path')"
        assert [await ask(database, limit) for _ in range(5)] == ["12s"] * 5
        assert await ask(database, path) == "public"
        async with database.road_at_once.begin() as connection:
            assert await connection.scalar(text(limit)) == "2s"
        async with database.unhurried.begin() as connection:  # of the same two connections of the server
            assert await connection.scalar(text(limit)) == "0"


@needs_pgbouncer
async def test_a_database_is_migrated_behind_pgbouncer(postgres: Postgres) -> None:
    with postgres.new(empty=True) as address, pgbouncer(address, pool_size=2) as port:
        async with opened(f"postgres://x@127.0.0.1:{port}/{parts_of(address)[1]}?pgbouncer=true") as database:
            assert (await upgrade(database))[0] is None
            await require_current(database)
