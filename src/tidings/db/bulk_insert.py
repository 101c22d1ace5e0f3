"""Adds many rows of one table at once, with ids that are known before.

SQLAlchemy's own way asks for the ids as the rows are added: on SQLite that is a statement a row, on PostgreSQL a
parameter a value. Here ids are reserved first, and values travel by columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import repeat
from typing import Any

from sqlalchemy import JSON, Dialect, Table, Text, bindparam, cast, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.schema import ScalarElementColumnDefault

PORTION = 5000
"""Rows that one statement adds."""


async def reserve_ids(session: AsyncSession, model: Any, count: int) -> Sequence[int]:
    """That many ids, in ascending order, which no other row of the table will have.

    On SQLite they are only this transaction's own if it can write, and the rows are to be added before others.
    """
    table: Table = model.__table__
    if session.get_bind().dialect.name != "postgresql":
        last = await session.scalar(select(func.max(table.c.id))) or 0
        return range(last + 1, last + 1 + count)
    # Found once: beside generate_series it would be looked up for each id.
    sequence = select(func.pg_get_serial_sequence(table.name, "id").label("name")).subquery()
    numbers = func.generate_series(1, count).table_valued("number")
    ids = await session.scalar(
        select(func.array_agg(func.nextval(sequence.c.name))).select_from(sequence.join(numbers, true()))
    )
    return sorted(ids or ())


async def bulk_insert(
    session: AsyncSession,
    model: Any,
    columns: Mapping[str, Sequence[Any]],
    same: Mapping[str, Any],
    *,
    skip_known: bool = False,
) -> int:
    """Adds rows; `columns` have a value for each, `same` the values that all have. Returns how many were added.

    JSON is given as text. Of the table's defaults those apply that are one value. With `skip_known` a row is left out
    that a unique index forbids; else it raises IntegrityError.
    """
    count, added = len(columns["id"]), 0
    defaults = {name: value for name, value in _defaults(model.__table__).items() if name not in columns}
    same = {**defaults, **same}
    for start in range(0, count, PORTION):
        portion = {name: values[start : start + PORTION] for name, values in columns.items()}
        # A value that all of them have travels once.
        alike = {name: values[0] for name, values in portion.items() if name != "id" and _are_alike(values)}
        different = {name: values for name, values in portion.items() if name not in alike}
        added += await _add(session, model.__table__, different, {**same, **alike}, skip_known)
    return added


def _are_alike(values: Sequence[Any]) -> bool:
    first = values[0]
    return all(value is first or value == first for value in values)


async def _add(
    session: AsyncSession, table: Table, columns: Mapping[str, Sequence[Any]], same: Mapping[str, Any], skip: bool
) -> int:
    connection = await session.connection()
    if connection.dialect.name == "postgresql":
        values: dict[str, Any] = {**{name: list(of_rows) for name, of_rows in columns.items()}, **same}
        result = await connection.execute(_from_arrays(table, tuple(columns), tuple(same), skip), values)
    else:
        names = (*columns, *same)
        stored = [
            *(_stored(table, name, of_rows, connection.dialect) for name, of_rows in columns.items()),
            *(repeat(_stored(table, name, [value], connection.dialect)[0]) for name, value in same.items()),
        ]
        rows = list(zip(*stored, strict=False))  # endless are those that are the same
        result = await connection.exec_driver_sql(_sqlite_statement(table, names, skip), rows)
    return result.rowcount


@cache
def _defaults(table: Table) -> dict[str, Any]:
    return {one.name: one.default.arg for one in table.columns if isinstance(one.default, ScalarElementColumnDefault)}


@cache
def _from_arrays(table: Table, columns: tuple[str, ...], same: tuple[str, ...], skip: bool) -> Any:
    """INSERT … SELECT FROM unnest: one parameter a column, however many rows there are."""
    arrays = [bindparam(name, type_=ARRAY(_sent_as(table, name))) for name in columns]
    rows = func.unnest(*arrays).table_valued(*(column(name) for name in columns)).render_derived(name="added")
    chosen = [
        *(cast(rows.c[name], table.c[name].type) for name in columns),
        *(cast(bindparam(name, type_=_sent_as(table, name)), table.c[name].type) for name in same),
    ]
    statement = insert_postgresql(table).from_select([*columns, *same], select(*chosen), include_defaults=False)
    return statement.on_conflict_do_nothing() if skip else statement


@cache
def _sqlite_statement(table: Table, names: tuple[str, ...], skip: bool) -> str:
    places = ", ".join("?" * len(names))
    ending = " ON CONFLICT DO NOTHING" if skip else ""
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places}){ending}"


def _sent_as(table: Table, name: str) -> Any:
    kind = table.c[name].type
    return Text() if isinstance(kind, JSON) else kind


def _stored(table: Table, name: str, values: Sequence[Any], dialect: Dialect) -> Sequence[Any]:
    """The values as SQLite's driver takes them."""
    process = _sent_as(table, name).dialect_impl(dialect).bind_processor(dialect)
    return values if process is None else [process(value) for value in values]
