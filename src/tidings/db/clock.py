"""What the database's clock shows."""

from __future__ import annotations

from sqlalchemy import text

from tidings.db.database import Database

NOW = text("SELECT extract(epoch FROM clock_timestamp())")


async def database_time(database: Database) -> float:
    """Epoch seconds by the clock of a PostgreSQL's machine."""
    async with database.reader.connect() as connection:
        return float(await connection.scalar(NOW) or 0)
