"""Brings a database to this version's schema. Alembic is loaded when there is something to bring up, not before."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from tidings.db.database import Database
from tidings.db.failures import is_passing, lets_nobody_in
from tidings.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 7_234_865_021  # any number that is ours alone among PostgreSQL's advisory locks
_MIGRATIONS = Path(__file__).parent / "migrations"


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Migrates to the newest revision; returns the one before and the one now. Several at once take turns.

    Raises ConfigurationError for a database that another version of Tidings has made, or that cannot be reached.
    """
    found = await _look(database)
    if found == newest():
        return found, found
    async with database.unhurried.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = await connection.run_sync(_revision)
        if before is not None and before not in _revisions():
            raise ConfigurationError(
                f"The database is at revision {before}, which this version of Tidings does not know. "
                "Use the version that made it, or another database."
            )
        if before != newest():
            await connection.run_sync(_upgrade)
        return before, newest()


async def require_current(database: Database) -> None:
    """Raises ConfigurationError when the database has another schema than this version, or cannot be reached."""
    found = await _look(database)
    if found != newest():
        raise ConfigurationError(
            f"The database is at revision {found or 'none'}, this version needs {newest()}. Run: tidings migrate"
        )


@lru_cache(maxsize=1)
def newest() -> str:
    """The newest revision that this version of Tidings knows."""
    return max(_revisions())


def _revisions() -> set[str]:
    """Every revision: the number that its file's name begins with."""
    return {file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py")}


async def _look(database: Database) -> str | None:
    try:
        async with database.reader.connect() as connection:
            return await connection.run_sync(_revision)
    except DBAPIError as error:
        if lets_nobody_in(error):
            raise ConfigurationError(
                f"The database of DATABASE_URL does not let Tidings in: {error.orig}. Correct the address."
            ) from error
        if not is_passing(error):
            raise
        raise ConfigurationError(
            f"The database of DATABASE_URL cannot be used now: {error.orig}. Start it, or correct the address."
        ) from error


def _revision(connection: Connection) -> str | None:
    """What the database says about itself, in Alembic's table; None while it has no such table."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(_config(connection), "head")
