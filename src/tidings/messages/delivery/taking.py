"""The statements that take message rows for sending: one that also loads what their messages are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Column, Dialect, Select, Table, Update, bindparam, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.visitors import replacement_traverse

from tidings.db.batches import among
from tidings.db.prepared import Prepared
from tidings.messages.kind import MessageKind
from tidings.messages.statuses import OPEN, Status

IN_DOUBT = "its sender stopped, or failed, before it wrote down whether the message had left"
"""What a row says while it is sent again after that."""

ROUNDING = timedelta(milliseconds=1)
"""BullMQ rounds the clock to whole milliseconds, so a job may start half of one before its time."""

Take = Callable[[AsyncConnection, Sequence[int], datetime, datetime], Any]
"""Takes those of the ids that are free at the first moment, until the second one; answers with their rows."""


@cache
def claiming(kind: type[MessageKind]) -> Select[Any]:
    """The one statement that claims rows of a kind on PostgreSQL: what it loads is joined to them as just written."""
    table: Table = kind.model.__table__
    taken = _change(kind).where(table.c.id.in_(_free(table, "postgresql"))).returning(*table.c).cte("taken")

    def of_taken(element: Any, **_: Any) -> Any:
        if element is table:
            return taken
        if isinstance(element, Column) and element.table is table:
            return taken.c[element.name]
        return None

    loaded: Any = replacement_traverse(kind.loaded, {}, of_taken)
    statement: Select[Any] = loaded.add_columns(
        _is_in_doubt(taken.c),
        # Nobody waits for the disk: a claim that a power cut undoes leaves the message as one that is in doubt,
        # which it is until its outcome is recorded, and that waits for both.
        select(func.set_config("synchronous_commit", "off", True)).scalar_subquery().label("_unsynchronised"),
    )
    return statement


def _free(table: Table, dialect: str) -> Select[Any]:
    return (
        select(table.c.id)
        .where(
            among(table.c.id, "ids", dialect),
            table.c.status.in_(OPEN),
            table.c.scheduled_time <= bindparam("due"),
            or_(table.c.held_until.is_(None), table.c.held_until <= bindparam("due")),
        )
        .order_by(table.c.id)  # everybody locks in the same order, so nobody deadlocks
        .with_for_update(skip_locked=True)
    )


def _change(kind: type[MessageKind]) -> Update:
    table: Table = kind.model.__table__
    return update(table).values(
        status=Status.SENDING,
        error_message=case((table.c.status == Status.SENDING, IN_DOUBT), else_=table.c.error_message),
        held_until=bindparam("until"),
        attempts=table.c.attempts + 1,
        updated_at=bindparam("now"),
        **kind.columns_when_claimed(),
    )


def _is_in_doubt(columns: Any) -> Any:
    """Whether a row was being sent by somebody else, whose lease is over, when it was taken."""
    return (columns.error_message == IN_DOUBT).label("_in_doubt")


@lru_cache(maxsize=64)  # a kind's statements are the same for all databases of a dialect, and dear to make
def taking_at_once(kind: type[MessageKind], dialect: Dialect) -> Take:
    statement = Prepared(claiming(kind), dialect)  # type: ignore[arg-type]

    async def take(connection: AsyncConnection, ids: Sequence[int], now: datetime, until: datetime) -> Any:
        return await statement.fetch(connection, ids=ids, now=now, until=until, due=now + ROUNDING)

    return take


@lru_cache(maxsize=64)
def taking_in_transaction(kind: type[MessageKind], dialect: Dialect) -> Take:
    """For SQLite, where a change cannot be part of a query, and for kinds that change more as they load."""
    if dialect.name == "postgresql":
        return _reading(claiming(kind))  # type: ignore[arg-type]
    table: Table = kind.model.__table__
    taking = _change(kind).where(table.c.id.in_(_free(table, dialect.name))).returning(table.c.id)
    loaded = kind.loaded.add_columns(_is_in_doubt(table.c))
    read = _reading(loaded.where(among(table.c.id, "ids", dialect.name)))

    async def take(connection: AsyncConnection, ids: Sequence[int], now: datetime, until: datetime) -> Any:
        values = {"ids": ids, "now": now, "until": until, "due": now + ROUNDING}
        taken = (await connection.execute(taking, values)).scalars().all()
        return await read(connection, taken, now, until) if taken else []

    return take


def _reading(statement: Select[Any]) -> Take:
    async def read(connection: AsyncConnection, ids: Sequence[int], now: datetime, until: datetime) -> Any:
        values = {"ids": ids, "now": now, "until": until, "due": now + ROUNDING}
        result = await connection.execute(statement, values)
        names = tuple(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]

    return read
