"""Watches the transactions of a test and tells which of them lock rows out of the order of `tidings.db.locks`.

It goes by the statements and not by their SQL, because SQLite's has no FOR UPDATE. A transaction may lock again what
it holds already, so rows are followed by their ids: those that a statement returns, else those that it names. What is
not seen: rows that the database locks by itself (ON DELETE), and an INSERT that waits for one with the same key.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import greenlet
from sqlalchemy import Connection, Engine, Insert, event

from support.statements import Lock, id_column, ids_of, is_ours, locks_of
from tidings.db import locks

SOURCE = Path(locks.__file__).parents[1]
TESTS = Path(__file__).parents[1]


@dataclass(slots=True)
class Held:
    """What one transaction has locked so far: rows by table, and the place in the code that locked a table last.

    Beside them the rows that it `added`, which nobody else sees, and those that they refer to.
    """

    rows: dict[str, set[Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    added: dict[str, set[Any]] = field(default_factory=dict)
    referred: dict[str, set[Any]] = field(default_factory=dict)

    def copy(self) -> Held:
        rows, added, referred = (
            {table: set(ids) for table, ids in one.items()} for one in (self.rows, self.added, self.referred)
        )
        return Held(rows, dict(self.places), added, referred)


_known: WeakKeyDictionary[Any, tuple[Lock, ...]] = WeakKeyDictionary()
"""What each compiled statement locks."""


class Watch:
    """The transactions under way of all engines, and the `mistakes` found in them, each a sentence.

    Statements count that come from files in `source`.
    """

    def __init__(
        self,
        order: Sequence[str] = locks.LOCK_ORDER,
        exceptions: Mapping[tuple[str, str], str] = locks.EXCEPTIONS,
        guarded: Mapping[tuple[str, str], str] = locks.GUARDED,
        in_no_order: Mapping[str, str] = locks.IN_NO_ORDER,
        source: Path = SOURCE,
    ) -> None:
        self.mistakes: list[str] = []
        self._ranks = {table: rank for rank, table in enumerate(order)}
        self._exceptions = {*exceptions, *guarded}
        self._guarded = guarded
        self._in_no_order = in_no_order
        self._source = source
        self._held: WeakKeyDictionary[Connection, list[Held]] = WeakKeyDictionary()
        self._inserts: WeakSet[Any] = WeakSet()

    # What SQLAlchemy tells, under its own names

    def begin(self, connection: Connection) -> None:
        self._held[connection] = [Held()]

    def savepoint(self, connection: Connection, _name: str | None) -> None:
        self._of(connection).append(self._of(connection)[-1].copy())

    def release_savepoint(self, connection: Connection, _name: str, _context: Any) -> None:
        self._of(connection).pop(-2)

    def rollback_savepoint(self, connection: Connection, _name: str, _context: Any) -> None:
        self._of(connection).pop()  # the database has let go of what was locked since

    def after_cursor_execute(
        self, connection: Connection, cursor: Any, _sql: str, _parameters: Any, context: Any, many: bool
    ) -> None:
        compiled = context.compiled
        if compiled is None:
            return
        found = _known.get(compiled)
        if found is None:
            found = _known[compiled] = tuple(locks_of(compiled))
        held = self._of(connection)[-1]
        if found:
            rows = list(cursor._rows)
            number = len(rows) if compiled._result_columns else cursor.rowcount
            for lock in found:
                self._locked(held, lock, ids_of(lock, rows, context.compiled_parameters), number, many)
        if isinstance(compiled.statement, Insert) and is_ours(compiled.statement.table):
            first = context not in self._inserts  # of the batches in which rows are added, all with all parameters
            self._inserts.add(context)
            _added(held, compiled, cursor, context.compiled_parameters if first else ())

    def _of(self, connection: Connection) -> list[Held]:
        return self._held.setdefault(connection, [Held()])

    def _locked(self, held: Held, lock: Lock, ids: list[Any] | None, number: int, many: bool) -> None:
        table, before = lock.table, held.rows.get(lock.table)
        known = (before or set()) | held.added.get(table, set())
        new = None if ids is None else [one for one in ids if one not in known]
        if (before is not None and not number) or (ids and not new) or (ids is None and 0 < number <= len(known)):
            return  # it holds them already, or there are none
        if (line := _line(self._source)) is None:
            return  # what a test writes by itself shows no transaction of the application
        place = f"{lock.verb} {table} at {line}"
        if table not in self._ranks:
            self._note(f"{place}: {table} is not in tidings.db.locks.LOCK_ORDER")
        elif lock.waits:
            self._check_table(held, table, place)
            if lock.strong and held.referred.get(table, set()).intersection(new or ()):
                self._note(f"{place} comes after rows were added that refer to these; lock them before")
            is_guarded = any((other, table) in self._guarded for other in held.places)
            if table not in self._in_no_order and not is_guarded:
                self._check_rows(held, lock, new, number, many, place)
        held.places[table] = place
        held.rows.setdefault(table, set()).update(new or ())

    def _check_table(self, held: Held, table: str, place: str) -> None:
        for other, earlier in held.places.items():
            if self._ranks.get(other, -1) > self._ranks[table] and (other, table) not in self._exceptions:
                self._note(f"{place} comes after {earlier}, but {table} is to be locked before {other}")

    def _check_rows(self, held: Held, lock: Lock, new: list[Any] | None, number: int, many: bool, place: str) -> None:
        several = number > 1 if new is None else len(new) > 1
        if several and not lock.is_sorted and not (many and new is not None and new == sorted(new)):
            self._note(f"{place} locks several rows in no order; the order is that of their ids")
        elif new and (last := max(held.rows.get(lock.table, ()), default=None)) is not None and min(new) < last:
            self._note(f"{place} locks row {min(new)} after row {last}, which {held.places[lock.table]} locked")

    def _note(self, mistake: str) -> None:
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Watches every engine for as long as the context lasts."""
    names = ("begin", "savepoint", "release_savepoint", "rollback_savepoint", "after_cursor_execute")
    for name in names:
        event.listen(Engine, name, getattr(watch, name))
    try:
        yield watch
    finally:
        for name in names:
            event.remove(Engine, name, getattr(watch, name))


def _added(held: Held, compiled: Any, cursor: Any, parameters: Sequence[Mapping[str, Any]]) -> None:
    """Notes rows that were added, and which rows they refer to."""
    table = compiled.statement.table
    column = id_column(compiled, table)
    ids = [row[column] for row in cursor._rows] if column is not None else [getattr(cursor, "lastrowid", None)]
    ids += _given(parameters, "id")
    held.added.setdefault(table.name, set()).update(one for one in ids if one is not None)
    for key in table.foreign_keys:
        parent = key.column.table.name
        named = {one for one in _given(parameters, key.parent.key) if one is not None}
        held.referred.setdefault(parent, set()).update(named - held.added.get(parent, set()))


def _given(parameters: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """The values of a column that rows are added with: one a row, or those of many rows as a list."""
    values = [one[name] for one in parameters if name in one]
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _line(source: Path) -> str | None:
    """The line that a statement comes from; None when the innermost one of ours is a test's."""
    for frame in frames():
        place = place_of(frame.f_code.co_filename, source)
        if place == "test":
            return None
        if place:
            return f"{place}:{frame.f_lineno}"
    return None


@cache
def place_of(filename: str, source: Path) -> str:
    """A file of `source` as its path there, "test" for a test's, else nothing."""
    path = Path(filename)
    if path.is_relative_to(source) and path.name != "work.py":
        return str(path.relative_to(source))
    return "test" if path.is_relative_to(TESTS) and path.parent != TESTS / "support" else ""


def frames() -> Iterator[FrameType]:
    """The calls under way, the innermost first; SQLAlchemy makes its own in a greenlet of their own."""
    current: Any = greenlet.getcurrent()
    frame: FrameType | None = sys._getframe(1)
    while current is not None:
        while frame is not None:
            yield frame
            frame = frame.f_back
        current = current.parent
        frame = current.gr_frame if current is not None else None
