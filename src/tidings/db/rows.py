"""Finding a row by its id, and locking many in the order that everybody keeps."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Executable, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.base import Base
from tidings.errors import NotFound

Row = TypeVar("Row", bound=Base)


async def find(session: AsyncSession, model: type[Row], kind: str, row_id: int, *, lock: bool = False) -> Row:
    """The row with this id, read anew when it is to be locked. Raises NotFound, which names the `kind`."""
    row = await session.get(
        model, row_id, with_for_update={"key_share": True} if lock else None, populate_existing=lock
    )
    if row is None:
        raise NotFound(kind, row_id)
    return row


async def count_changed(session: AsyncSession, statement: Executable) -> int:
    """Carries out an UPDATE or DELETE; how many rows it changed."""
    result: Any = await session.execute(statement.execution_options(synchronize_session=False))
    return max(getattr(result, "rowcount", 0), 0)


def locked_ids(model: Any, *which: ColumnElement[bool], skip_locked: bool = False) -> Select[int]:
    """Locks rows in order of id: for an UPDATE or DELETE of several, `.where(model.id.in_(locked_ids(model, …)))`."""
    return select(model.id).where(*which).order_by(model.id).with_for_update(key_share=True, skip_locked=skip_locked)
