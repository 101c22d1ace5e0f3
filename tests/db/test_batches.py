"""Many rows in one statement, on either database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from tidings.db.batches import among, insert_rows, update_rows
from tidings.db.database import Database, open_database
from tidings.messages.ledger import LedgerEntry

NOW = datetime(2026, 5, 1, 9, 30, 0, 123000, UTC)


def line(number: int) -> dict[str, object]:
    return {
        "at": NOW,
        "kind": "event-message",
        "message_id": number,
        "outcome": "sent",
        "reason": None,
        "error": "it's “quoted”, {braced} and \\ slashed" if number % 2 else None,
        "lateness_ms": number / 4,
        "inputs": {"number": number, "nested": [None, {"ü": "✓"}]},
    }


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


@pytest.mark.both_databases
@pytest.mark.parametrize("count", [0, 1, 1500])
async def test_rows_come_back_as_they_were_given_with_defaults_for_what_was_not(
    database: Database, count: int
) -> None:
    async with database.writer.begin() as connection:
        await insert_rows(connection, LedgerEntry, [line(number) for number in range(count)])
    async with database.reader.connect() as connection:
        rows = (await connection.execute(select(LedgerEntry.__table__).order_by(LedgerEntry.id))).mappings().all()
    assert [{name: row[name] for name in line(0)} for row in rows] == [line(number) for number in range(count)]
    assert {(row["attempt"], row["delivery_status"]) for row in rows} == ({(0, None)} if count else set())


@pytest.mark.both_databases
async def test_each_row_gets_its_own_values_and_others_are_left_alone(database: Database) -> None:
    async with database.writer.begin() as connection:
        await insert_rows(connection, LedgerEntry, [line(number) for number in range(5)])
        ids = (await connection.scalars(select(LedgerEntry.id).order_by(LedgerEntry.id))).all()
        changes = [{"id": ids[at], "error": f"changed {at}", "inputs": {"at": at}} for at in (1, 3)]
        await update_rows(connection, LedgerEntry, ("error", "inputs"), changes)
        await update_rows(connection, LedgerEntry, ("error",), [])
        rows = (await connection.execute(select(LedgerEntry.__table__).order_by(LedgerEntry.id))).mappings().all()
    assert [row["error"] for row in rows] == [line(0)["error"], "changed 1", line(2)["error"], "changed 3", None]
    assert [row["inputs"] for row in rows if row["id"] in (ids[1], ids[3])] == [{"at": 1}, {"at": 3}]
    assert {row["outcome"] for row in rows} == {"sent"}


@pytest.mark.both_databases
@pytest.mark.parametrize("wanted", [[], [2], [1, 2, 99]])
async def test_a_list_of_any_length_is_one_parameter(database: Database, wanted: list[int]) -> None:
    column = LedgerEntry.__table__.c.message_id
    query = select(column).where(among(column, "wanted", database.dialect)).order_by(column)
    async with database.writer.begin() as connection:
        await insert_rows(connection, LedgerEntry, [line(number) for number in range(4)])
        found = (await connection.scalars(query, {"wanted": wanted})).all()
    assert list(found) == [number for number in wanted if number < 4]
