"""A PostgreSQL database that tests share, one after the other, is like a new one to each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from support.postgres import Postgres

PERSON = "INSERT INTO contractors (name, phone, created_at, updated_at) VALUES ($1, $2, now(), now()) RETURNING id"


async def test_the_next_test_finds_no_row_no_used_number_and_no_connection(postgres: Postgres) -> None:
    with postgres.lend() as address:
        connection = await asyncpg.connect(address)
        assert await connection.fetchval(PERSON, "Ada", "+14155550100") == 1
        with pytest.raises(asyncpg.NotNullViolationError):  # takes a number and leaves no row
            await connection.fetchval("INSERT INTO events (slug) VALUES (NULL)")
        await connection.execute("DELETE FROM contractors")
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetchval("SELECT 1")
    with postgres.lend() as again:
        assert again == address
        connection = await asyncpg.connect(again)
        assert await connection.fetchval(PERSON, "Ada", "+14155550100") == 1
        assert await connection.fetchval("SELECT nextval(pg_get_serial_sequence('events', 'id'))") == 1
        await connection.close()


async def test_a_test_that_changes_tables_is_told_so_and_the_next_has_another_database(postgres: Postgres) -> None:
    changed: list[str] = []

    async def change_tables(address: str) -> None:
        connection = await asyncpg.connect(address)
        await connection.execute("ALTER TABLE contractors ADD COLUMN nickname text")
        await connection.close()
        changed.append(address)

    with pytest.raises(AssertionError, match="changed the tables"):
        await _with_lent(postgres, change_tables)
    with postgres.lend() as another:
        assert [another] != changed


async def _with_lent(postgres: Postgres, use: Callable[[str], Awaitable[None]]) -> None:
    with postgres.lend() as address:
        await use(address)


async def test_what_is_written_to_a_database_after_it_was_given_back_is_noticed(postgres: Postgres) -> None:
    with postgres.lend() as address:
        pass
    connection = await asyncpg.connect(address)
    await connection.fetchval(PERSON, "Ada", "+14155550100")
    with pytest.raises(AssertionError, match="contractors"), postgres.lend():
        pass
    await connection.close()
