"""Statements that are made once and run straight on PostgreSQL's driver, for what is done all day long.

SQLAlchemy takes half a millisecond to find out each time what a statement of many columns is; the driver takes a
twentieth of that, and a message that is due waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.db.limits import note_loss


class Prepared:
    """A statement. Each run of it is a transaction of its own, unless one is under way on the connection."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._values: Mapping[str, Any] = compiled.params
        self._order = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()
        ]

    async def fetch(self, connection: AsyncConnection, **values: Any) -> list[dict[str, Any]]:
        """The rows that it answers with, their times in UTC and their JSON read. Raises OperationalError when the
        connection is dead, or gave no answer in time."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        given = {**self._values, **values}
        try:
            arguments = [process(given[name]) if process else given[name] for name, process in self._order]
            records = await driver.fetch(self.sql, *arguments)
        except (PostgresError, InterfaceError, OSError) as error:
            if not (note_loss(connection.sync_connection, error) or driver.is_closed()):
                raise
            await connection.invalidate(error)
            raise OperationalError(self.sql, None, error, connection_invalidated=True) from error
        return [dict(record) for record in records]
