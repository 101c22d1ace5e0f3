"""The migrations build the schema that the models describe, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from tidings.db import migrate
from tidings.db.base import Base
from tidings.db.database import open_database
from tidings.db.migrate import newest, require_current, upgrade
from tidings.errors import ConfigurationError
from tidings.features.events.models import Event, EventMessage, Registration
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Status

pytestmark = pytest.mark.both_databases


async def test_a_migrated_database_has_exactly_the_tables_of_the_models(empty_database_url: str) -> None:
    assert LedgerEntry.metadata is Base.metadata
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


async def test_rows_outlive_every_step_up_and_down(empty_database_url: str) -> None:
    now = datetime.now(UTC)
    times = {"created_at": now, "updated_at": now}
    database = open_database(empty_database_url)
    async with database.writer.begin() as connection:

        async def go(step: Callable[..., None], revision: str) -> None:
            await connection.run_sync(lambda conn: step(migrate._config(conn), revision))

        await go(command.upgrade, "0001")
        await connection.execute(insert(Contractor), [{"name": "Ada", "vip": False, **times}])
        event = {"name": "E", "date": now.date(), "timezone": "UTC", "start_time": now, "end_time": now, **times}
        await connection.execute(insert(Event), [event])
        message = {"event_id": 1, "contractor_id": 1, "message_category": "c", "scheduled_time": now, **times}
        rows = [{**message, "message_type": status, "status": status} for status in Status]
        await connection.execute(insert(EventMessage), rows)
        for step, revision in ((command.upgrade, "head"), (command.downgrade, "0001"), (command.upgrade, "head")):
            await go(step, revision)
            found = await connection.scalars(select(EventMessage.status).order_by(EventMessage.id))
            assert found.all() == list(Status)
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


def test_the_newest_revision_is_the_one_that_alembic_finds_by_loading_every_migration() -> None:
    assert newest() == ScriptDirectory.from_config(migrate._config()).get_current_head()


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


async def test_a_database_that_another_version_made_is_left_alone(empty_database_url: str) -> None:
    database = open_database(empty_database_url)
    await upgrade(database)
    async with database.writer.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="9999, which this version of Tidings does not know"):
        await upgrade(database)
    with pytest.raises(ConfigurationError, match="9999"):
        await require_current(database)
    await database.close()


async def test_a_migration_done_again_changes_nothing(database_url: str) -> None:
    database = open_database(database_url)
    assert await upgrade(database) == (newest(), newest())
    await require_current(database)
    await database.close()


async def test_rows_refer_to_people_who_are_there(database_url: str) -> None:
    orphan = {"event_id": 1, "contractor_id": 4711, "session_keys": [], "registered_at": datetime.now(UTC)}
    database = open_database(database_url)
    async with database.writer.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(insert(Registration), [orphan])
    await database.close()
