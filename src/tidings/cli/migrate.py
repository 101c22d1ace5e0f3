"""`tidings migrate`: the database's schema."""

from __future__ import annotations

from rich.console import Console

from tidings.cli.running import prepare, run
from tidings.db.database import open_database
from tidings.db.migrate import upgrade
from tidings.registry import Settings


def migrate() -> None:
    """Brings the database to this version's schema."""
    before, now = run(_migrate(prepare()))
    Console().print(f"database at revision {now}" + ("" if before == now else f" (was {before or 'empty'})"))


async def _migrate(settings: Settings) -> tuple[str | None, str]:
    database = open_database(settings.database)
    try:
        return await upgrade(database)
    finally:
        await database.close()
