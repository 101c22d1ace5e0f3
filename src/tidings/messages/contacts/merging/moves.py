"""What a merge changes row by row, written down so that it can be undone: which columns were what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Index, Table, UniqueConstraint, and_, exists, or_, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.base import Base, UtcDateTime
from tidings.db.locks import LOCK_ORDER
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.records import ContactMergeMove
from tidings.messages.kind import RowChange
from tidings.messages.ledger import LedgerEntry

KEPT_APART = frozenset(
    ("contractors", "contact_addresses", "contact_words", "contact_merges", "contact_trust", "admissions")
)
"""Tables that refer to people and are not moved row by row; see `merging.py`."""


def places() -> Iterable[tuple[Table, str]]:
    """Every column of every feature that says of whom a row is, in the order in which tables are locked."""
    found: dict[str, tuple[Table, str]] = {}
    for table in Base.metadata.tables.values():
        for key in table.foreign_keys:
            if key.column is Contractor.__table__.c.id and table.name not in KEPT_APART:
                found[table.name] = (table, key.parent.name)
    ledger = Base.metadata.tables[LedgerEntry.__tablename__]
    found[ledger.name] = (ledger, "contact_id")
    return [found[name] for name in LOCK_ORDER if name in found]


def stands_in_the_way(table: Table, column: str, kept_id: int) -> ColumnElement[bool] | None:
    """Which rows cannot become the kept person's, who has one already that only one may be; None: all can."""
    ways: list[ColumnElement[bool]] = []
    unique: list[Index | UniqueConstraint] = [one for one in table.indexes if one.unique]
    unique += [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    for one in unique:
        names = [each.name for each in one.columns]
        if column in names:
            where = one.dialect_options["sqlite"]["where"] if isinstance(one, Index) else None
            condition: Any = true() if where is None else text(str(where))
            other = table.alias()
            same = [other.c[name] == table.c[name] for name in names if name != column]
            ways.append(and_(condition, exists().where(other.c[column] == kept_id, *same, condition)))
    return or_(*ways) if ways else None


def note(session: AsyncSession, merge_id: int, changes: Iterable[RowChange]) -> None:
    """Writes down what was changed, in the caller's transaction."""
    session.add_all(
        ContactMergeMove(
            merge_id=merge_id,
            place=one.table,
            row_id=one.row_id,
            before=_as_json(one.before),
            after=_as_json(one.after),
        )
        for one in changes
    )


def as_columns(table: Table, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a noted change, as the table has them."""
    return {name: _from_json(table, name, value) for name, value in stored.items()}


def _as_json(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in columns.items()}


def _from_json(table: Table, name: str, value: Any) -> Any:
    kind: Any = table.c[name].type
    return datetime.fromisoformat(value) if isinstance(value, str) and isinstance(kind, UtcDateTime) else value


def differs(row: Any, columns: Mapping[str, Any]) -> bool:
    """Whether somebody has changed a row since."""
    return any(getattr(row, name) != value for name, value in columns.items())
