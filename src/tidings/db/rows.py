"""Finding a row by its id."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.base import Base
from tidings.errors import NotFound

Row = TypeVar("Row", bound=Base)


async def find(session: AsyncSession, model: type[Row], kind: str, row_id: int, *, lock: bool = False) -> Row:
    """The row with this id, read anew when it is to be locked. Raises NotFound, which names the `kind`."""
    row = await session.get(model, row_id, with_for_update=lock or None, populate_existing=lock)
    if row is None:
        raise NotFound(kind, row_id)
    return row
