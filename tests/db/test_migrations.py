"""The migrations build the schema that the models describe, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db import migrate
from tidings.db.base import Base
from tidings.db.database import Database, open_database
from tidings.db.migrate import newest, require_current, upgrade
from tidings.errors import ConfigurationError
from tidings.features.events.models import EventMessage, Registration
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.ledger import Delivery


async def test_a_migrated_database_has_exactly_the_tables_of_the_models(empty_database_url: str) -> None:
    assert Delivery.metadata is Base.metadata
    database = open_database(empty_database_url)
    assert await upgrade(database) == (None, newest())
    async with database.writer.connect() as connection:
        differences = await connection.run_sync(
            lambda conn: compare_metadata(
                MigrationContext.configure(conn, opts={"include_name": _is_described}), Base.metadata
            )
        )
    await database.close()
    assert differences == []


def _is_described(name: str | None, kind: str, parents: Any) -> bool:
    """Models cannot describe full-text indexes, which differ between the databases."""
    return not (name or "").startswith("knowledge_search")


async def test_several_processes_may_migrate_at_the_same_time(empty_database_url: str) -> None:
    databases = [open_database(empty_database_url) for _ in range(3)]
    await asyncio.gather(*(upgrade(database) for database in databases))
    for database in databases:
        await require_current(database)
        await database.close()


async def test_a_database_that_was_not_migrated_is_refused_with_the_command_to_run(empty_database_url: str) -> None:
    database = open_database(empty_database_url)
    with pytest.raises(ConfigurationError, match="tidings migrate"):
        await require_current(database)
    await database.close()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("mysql://host/name", "mysql"),
        ("not an address", "postgresql://"),
        ("sqlite://", "needs a file"),
    ],
)
def test_an_address_of_another_kind_is_refused_with_the_kinds_that_work(address: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        open_database(address)


def test_event_messages_have_the_28_columns_of_the_specification() -> None:
    columns = {column.key for column in EventMessage.__table__.columns}
    named = {
        *("id", "event_id", "contractor_id", "message_type", "message_category", "scheduled_time"),
        *("actual_send_time", "status", "message_content", "personalization_data", "phone", "channel"),
        *("response_received", "response_time", "sentiment_score", "pcr_score", "action_taken"),
        *("ghl_contact_id", "ghl_message_id", "ghl_location_id"),
        *("error_message", "delay_minutes", "created_at", "updated_at"),
    }
    assert named <= columns
    assert len(columns) == 28


THEN = datetime(2026, 10, 17, 19, tzinfo=UTC)
WRITTEN = {"created_at": THEN, "updated_at": THEN}

FIRST_RELEASE: dict[str, list[dict[str, Any]]] = {
    "contractors": [
        {"id": 7, "name": "Ada Abara", "phone": "+18105550123", "timezone": "America/New_York", **WRITTEN},
        {"id": 8, "name": "Ben Brandt", "phone": None, "timezone": None, **WRITTEN},
    ],
    "events": [
        {
            "id": 3,
            "name": "Expo",
            "slug": "expo",
            "date": THEN.date(),
            "timezone": "UTC",
            "status": "completed",
            "start_time": THEN,
            "end_time": THEN,
            "agenda_version": 1,
            "planned_version": 1,
            **WRITTEN,
        }
    ],
    "event_registrations": [
        {"id": 5, "event_id": 3, "contractor_id": 7, "session_keys": ["talk"], "registered_at": THEN}
    ],
    "event_messages": [
        {
            "id": 11,
            "event_id": 3,
            "contractor_id": 7,
            "message_type": "pcr_request",
            "message_category": "pcr",
            "session_key": "talk",
            "personalization_data": {"title": "AI"},
            "channel": "sms",
            "status": "sent",
            "scheduled_time": THEN,
            "attempts": 1,
            "pcr_score": 9,
            **WRITTEN,
        }
    ],
    "deliveries": [
        {
            "id": number,
            "at": THEN,
            "kind": "event-message",
            "message_id": 11,
            "contact_id": 7,
            "inputs": {},
            "outcome": outcome,
            "attempt": number,
            "provider_message_id": f"SM{number}",
        }
        for number, outcome in ((1, "retry"), (2, "sent"))
    ],
}
"""What a database of revision 0001 may hold."""


@pytest.fixture
async def old_database(empty_database_url: str) -> AsyncIterator[Database]:
    """A database of revision 0001 with rows in it."""

    def fill(connection: Connection) -> None:
        command.upgrade(migrate._config(connection), "0001")
        tables = MetaData()
        tables.reflect(connection)
        for name, rows in FIRST_RELEASE.items():
            connection.execute(insert(tables.tables[name]), rows)

    database = open_database(empty_database_url)
    async with database.writer.begin() as connection:
        await connection.run_sync(fill)
    yield database
    await database.close()


async def test_what_was_stored_before_the_gate_is_kept_and_gets_what_it_lacks(old_database: Database) -> None:
    assert await upgrade(old_database) == ("0001", newest())
    async with AsyncSession(old_database.reader) as session:
        for model in (Contractor, Registration, EventMessage, Delivery):
            rows = {row.id: row for row in await session.scalars(select(model))}
            before = FIRST_RELEASE[model.__tablename__]
            assert rows.keys() == {one["id"] for one in before}
            for one in before:
                assert {name: getattr(rows[one["id"]], name) for name in one} == one
        assert set(await session.scalars(select(Contractor.vip))) == {False}
        lines = await session.scalars(select(Delivery).order_by(Delivery.id))
        assert [(line.delivery_status, line.delivery_status_at) for line in lines] == [(None, None), ("SENT", None)]


async def test_rows_still_refer_to_the_people_whose_table_was_changed(old_database: Database) -> None:
    await upgrade(old_database)
    orphan = {**FIRST_RELEASE["event_registrations"][0], "id": 6, "contractor_id": 4711}
    async with old_database.writer.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(insert(Registration), [orphan])
