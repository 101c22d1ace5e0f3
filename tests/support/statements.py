"""What a statement locks, read from the statement and from the rows that it gives back, not from its SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Delete, Select, Table, Update
from sqlalchemy.sql import operators, visitors

from tidings.db.base import Base


@dataclass(frozen=True, slots=True)
class Lock:
    """What a statement locks in one table; `verb` is what it is called.

    It `waits` unless it skips what others have locked, and is `strong` when rows that refer to these cannot be added
    meanwhile. `is_sorted`: it locks in order of id. `column` is the place of the id in the rows that come back,
    `names` are the parameters that it names rows by.
    """

    table: str
    verb: str
    waits: bool = True
    strong: bool = False
    is_sorted: bool = False
    column: int | None = None
    names: tuple[str, ...] = ()


def locks_of(compiled: Any) -> Iterator[Lock]:
    """What a statement locks, in that order."""
    statement = compiled.statement
    change = next((one for one in visitors.iterate(statement) if isinstance(one, Update | Delete)), None)
    changed = None if change is None else change.table
    chosen: Lock | None = None  # by the SELECT … FOR UPDATE that says which rows are changed
    for element in visitors.iterate(statement):
        if isinstance(element, Select) and element._for_update_arg is not None:
            for table in filter(is_ours, _tables(element)):
                lock = _of_select(element, table)
                if changed is not None and table.name == changed.name:
                    chosen = replace(lock, names=_names(compiled, element, table))
                elif element is statement:
                    yield replace(lock, column=id_column(compiled, table), names=_names(compiled, element, table))
                else:
                    yield lock
    if change is not None and is_ours(changed):
        verb = "UPDATE of" if isinstance(change, Update) else "DELETE from"
        named = replace(chosen, verb=verb) if chosen else Lock(changed.name, verb)
        yield replace(
            named,
            strong=isinstance(change, Delete),
            column=id_column(compiled, changed),
            names=_names(compiled, change, changed) or named.names,
        )


def _of_select(select: Select[Any], table: Table) -> Lock:
    how = select._for_update_arg
    first = next(iter(select._order_by_clauses), None)
    return Lock(
        table.name,
        "SELECT FOR UPDATE of",
        waits=not how.skip_locked,
        strong=not (how.key_share or how.read),
        is_sorted=first is not None and _is_id(first, table),
    )


def _tables(select: Select[Any]) -> Iterator[Table]:
    """The tables of which a SELECT … FOR UPDATE locks rows."""
    for source in select._for_update_arg.of or select.get_final_froms():
        found = getattr(source, "table", source)
        yield from (one for one in visitors.iterate(found) if isinstance(one, Table))


def is_ours(table: Any) -> bool:
    """Whether it is a table of the application."""
    return isinstance(table, Table) and table.metadata is Base.metadata


def _is_id(column: Any, table: Table) -> bool:
    keys = table.primary_key.columns.keys()
    return getattr(getattr(column, "table", None), "name", None) == table.name and [column.key] == keys


def id_column(compiled: Any, table: Table) -> int | None:
    """Where the table's id stands in the rows that come back; None when it does not."""
    for number, entry in enumerate(compiled._result_columns):
        if any(_is_id(one, table) for one in entry.objects if hasattr(one, "key")):
            return number
    return None


def _names(compiled: Any, statement: Any, table: Table) -> tuple[str, ...]:
    """The parameters by which the statement names ids; with others beside it, it may lock fewer rows."""
    named = []
    for whole in statement._where_criteria:
        for part in whole.clauses if getattr(whole, "operator", None) is operators.and_ else [whole]:
            if getattr(part, "operator", None) in (operators.eq, operators.in_op) and _is_id(part.left, table):
                right = part.right
                while hasattr(right, "element"):  # … = ANY (array)
                    right = right.element
                named.append(compiled.bind_names.get(right))
    return tuple(name for name in named if name is not None)


def ids_of(lock: Lock, rows: Sequence[Any], parameters: Sequence[Mapping[str, Any]]) -> list[Any] | None:
    """The ids of the locked rows, each once and in that order; None when nothing tells."""
    if lock.column is not None:
        return list(dict.fromkeys(row[lock.column] for row in rows))
    if not lock.names:
        return None
    return list(dict.fromkeys(one for each in parameters for name in lock.names for one in _values(each, name)))


def _values(parameters: Mapping[str, Any], name: str) -> Iterator[Any]:
    """The values of a parameter: of one for IN (…) there are several, `id_1_1`, `id_1_2` …; an array has its own."""
    if name in parameters:
        value = parameters[name]
        yield from value if isinstance(value, list) else [value]
        return
    number = 1
    while (each := f"{name}_{number}") in parameters:
        yield parameters[each]
        number += 1
