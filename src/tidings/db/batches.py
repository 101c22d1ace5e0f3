"""Many rows in one statement, whose text does not depend on how many they are: PostgreSQL plans it once a connection.

SQLite has no arrays; there the driver runs one small statement for each row, without a round trip.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Insert,
    Table,
    TableValuedAlias,
    Update,
    any_,
    bindparam,
    column,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.db.base import Base


def among(place: ColumnElement[Any], parameter: str, dialect: str) -> ColumnElement[bool]:
    """Whether a column is among the values that are given as a list when the statement is executed."""
    if dialect == "postgresql":
        return place == any_(bindparam(parameter, type_=ARRAY(place.type)))
    return place.in_(bindparam(parameter, expanding=True))


def among_many(place: ColumnElement[Any], parameter: str, dialect: str) -> ColumnElement[bool]:
    """The same for hundreds of values: PostgreSQL joins them instead of comparing each row with one after another."""
    if dialect == "postgresql":
        values = func.unnest(bindparam(parameter, type_=ARRAY(place.type))).column_valued("given")
        return place.in_(select(values))
    return among(place, parameter, dialect)


async def insert_rows(
    connection: AsyncConnection | AsyncSession, model: type[Base], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Adds rows that all have the same columns."""
    if not rows:
        return
    table = model.metadata.tables[model.__tablename__]
    if isinstance(connection, AsyncSession):
        connection = await connection.connection()
    if connection.dialect.name == "postgresql":
        columns = tuple(rows[0])
        await connection.execute(insertion(table, columns), arrays(columns, rows))
    else:
        await connection.execute(insert(table), rows)


async def insert_missing(connection: AsyncConnection, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds those rows that are not there; all have the same columns, and come in the order of their keys."""
    if not rows:
        return
    table = model.metadata.tables[model.__tablename__]
    if connection.dialect.name == "postgresql":
        columns = tuple(rows[0])
        given = select(*_given(table, columns, "all").c)
        statement = postgresql.insert(table).from_select(columns, given).on_conflict_do_nothing()
        await connection.execute(statement, arrays(columns, rows))
    else:
        await connection.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)


async def update_rows(
    connection: AsyncConnection,
    model: type[Base],
    columns: Collection[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    key_share: bool = False,
) -> None:
    """Sets `columns` of the rows with these `id`s. They are locked in order of id, which is the order of `rows`.

    With `key_share` others may add rows that refer to them meanwhile.
    """
    if not rows:
        return
    table = model.metadata.tables[model.__tablename__]
    names = ("id", *columns)
    if connection.dialect.name == "postgresql":
        await connection.execute(change(table, names, key_share=key_share), arrays(names, rows))
        return
    await connection.execute(
        update(table).where(table.c.id == bindparam("row_id")).values({name: bindparam(name) for name in columns}),
        [{**row, "row_id": row["id"]} for row in rows],
    )


def arrays(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], prefix: str = "all") -> dict[str, list[Any]]:
    """What `insertion` and `change` are executed with."""
    return {f"{prefix}_{name}": [row[name] for row in rows] for name in columns}


@cache
def insertion(table: Table, columns: tuple[str, ...], prefix: str = "all") -> Insert:
    """Adds rows on PostgreSQL, whose values are `arrays` of the same prefix."""
    return insert(table).from_select(columns, select(*_given(table, columns, prefix).c))


@cache
def change(table: Table, columns: tuple[str, ...], prefix: str = "all", *, key_share: bool = False) -> Update:
    """Sets columns on PostgreSQL of the rows whose ids are among them; see `insertion`."""
    given = _given(table, columns, prefix)
    ids = among(table.c.id, f"{prefix}_id", "postgresql")
    locked = select(table.c.id).where(ids).order_by(table.c.id).with_for_update(key_share=key_share)
    return (
        update(table)
        .where(table.c.id == given.c.id, table.c.id.in_(locked))
        .values({name: given.c[name] for name in columns if name != "id"})
    )


def _given(table: Table, columns: Sequence[str], prefix: str) -> TableValuedAlias:
    values = [bindparam(f"{prefix}_{name}", type_=ARRAY(table.c[name].type)) for name in columns]
    given = func.unnest(*values).table_valued(*(column(name, table.c[name].type) for name in columns))
    return given.render_derived(name=f"given_{prefix}")
