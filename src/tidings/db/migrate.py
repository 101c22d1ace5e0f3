"""Brings a database to this version's schema."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tidings.db.database import Database
from tidings.errors import ConfigurationError

_LOCK = 7_234_865_021  # any number that is ours alone among PostgreSQL's advisory locks


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Migrates to the newest revision; returns the one before and the one now. Several at once take turns."""
    async with database.writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = await connection.run_sync(_revision)
        if before != newest():
            await connection.run_sync(_upgrade)
        return before, newest()


async def require_current(database: Database) -> None:
    """Raises ConfigurationError when the database has another schema than this version of Tidings."""
    async with database.reader.connect() as connection:
        found = await connection.run_sync(_revision)
    if found != newest():
        raise ConfigurationError(
            f"The database is at revision {found or 'none'}, this version needs {newest()}. Run: tidings migrate"
        )


@lru_cache(maxsize=1)
def newest() -> str:
    """The newest revision that this version of Tidings knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")
