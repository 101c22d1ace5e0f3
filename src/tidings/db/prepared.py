"""Statements that are made once and run straight on PostgreSQL's driver, for what is done all day long.

SQLAlchemy takes half a millisecond to find out each time what a statement of many columns is; the driver takes a
twentieth of that, and a message that is due waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncpg import InterfaceError, PostgresError
from asyncpg.exceptions import OperatorInterventionError, PostgresConnectionError
from sqlalchemy import Dialect, Select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

_ENDING = (PostgresConnectionError, OperatorInterventionError, OSError)
"""What the driver says of a connection that is ending, sometimes before it is closed."""


class Prepared:
    """A query, or a change that answers with rows. Each run of it is a transaction of its own."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._values: Mapping[str, Any] = compiled.params
        self._order: tuple[str, ...] = tuple(compiled.positiontup or ())

    async def fetch(self, connection: AsyncConnection, **values: Any) -> list[dict[str, Any]]:
        """The rows, their times in UTC and their JSON read. Raises OperationalError when the connection is dead."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        given = {**self._values, **values}
        try:
            records = await driver.fetch(self.sql, *[given[name] for name in self._order])
        except (PostgresError, InterfaceError, OSError) as error:
            if not (driver.is_closed() or isinstance(error, _ENDING)):
                raise
            await connection.invalidate(error)
            raise OperationalError(self.sql, None, error, connection_invalidated=True) from error
        return [dict(record) for record in records]
