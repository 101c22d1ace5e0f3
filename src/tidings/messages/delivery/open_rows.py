"""The rows that are still to be sent, a page at a time in the order in which they are due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from sqlalchemy import bindparam, literal, select, tuple_

from tidings.db.database import Database
from tidings.messages.kind import MessageKind, due_time
from tidings.messages.statuses import OPEN

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST_ID = 2**63 - 1

_IS_OPEN: Any = bindparam("open", OPEN, expanding=True, literal_execute=True)
"""Written out in the statement, so that databases see that the index of open rows has all that is asked for."""


class Position(NamedTuple):
    """A place among the rows: just after the row with this time (UTC) and id."""

    time: datetime
    id: int

    @classmethod
    def after(cls, moment: datetime) -> Self:
        """After every row of that moment."""
        return cls(moment, _LAST_ID)

    @classmethod
    def read(cls, written: str) -> Self:
        """The position that was written."""
        microseconds, _, row_id = written.partition(":")
        return cls(_EPOCH + int(microseconds) * _MICROSECOND, int(row_id))

    def write(self) -> str:
        """As text: microseconds since 1970 and the id."""
        return f"{(self.time - _EPOCH) // _MICROSECOND}:{self.id}"


START = Position(datetime(1, 1, 2, tzinfo=UTC), 0)
"""Before every row."""


@dataclass(frozen=True, slots=True)
class OpenRows:
    """When the rows of a page are due, by id. `end` is where the next page starts; `is_last`: there is none."""

    dues: dict[int, datetime]
    end: Position
    is_last: bool


async def read_page(
    database: Database, kind: MessageKind, start: Position, until: datetime | None, most: int
) -> OpenRows:
    """Up to `most` open rows after `start` whose time is not later than `until`."""
    model = kind.model
    query = (
        select(model.scheduled_time, model.id, model.held_until)
        .where(
            model.status.in_(_IS_OPEN),
            tuple_(model.scheduled_time, model.id)
            > tuple_(literal(start.time, model.scheduled_time.type), literal(start.id, model.id.type)),
        )
        .order_by(model.scheduled_time, model.id)
        .limit(most)
    )
    if until is not None:
        query = query.where(model.scheduled_time <= until)
    async with database.reader.connect() as connection:
        rows: Sequence[Any] = (await connection.execute(query)).all()
    is_last = len(rows) < most
    if is_last and until is not None:
        end = max(start, Position.after(until))
    else:
        end = Position(rows[-1].scheduled_time, rows[-1].id) if rows else start
    return OpenRows({row.id: due_time(row) for row in rows}, end, is_last)


async def read_rows(database: Database, kind: MessageKind, ids: Sequence[int]) -> Sequence[Any]:
    """Those of the rows that are still to be sent, with all their columns."""
    model = kind.model
    query = select(model.__table__).where(model.id.in_(ids), model.status.in_(_IS_OPEN)).order_by(model.id)
    async with database.reader.connect() as connection:
        return (await connection.execute(query)).all()
