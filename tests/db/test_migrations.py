"""The migrations build the schema that the models describe, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tidings.db.base import Base
from tidings.db.database import open_database
from tidings.db.migrate import newest, require_current, upgrade
from tidings.errors import ConfigurationError
from tidings.features.events.models import EventMessage
from tidings.messages.ledger import Delivery


async def test_a_migrated_database_has_exactly_the_tables_of_the_models(empty_database_url: str) -> None:
    assert Delivery.metadata is Base.metadata
    database = open_database(empty_database_url)
    assert await upgrade(database) == (None, newest())
    async with database.writer.connect() as connection:
        differences = await connection.run_sync(
            lambda conn: compare_metadata(MigrationContext.configure(conn), Base.metadata)
        )
    assert differences == []
    await database.close()


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
