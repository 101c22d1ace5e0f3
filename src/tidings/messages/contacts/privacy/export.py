"""Everything that is kept about a person, table by table, for the person (GDPR articles 15 and 20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.base import Base
from tidings.messages.contacts.addresses import ContactAddress
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.merging.moves import places
from tidings.messages.gate.opt_outs import history_of
from tidings.messages.gate.trust import trust_of
from tidings.messages.kind import Addressee, MessageKind


async def export_contact(
    session: AsyncSession, contact: Contractor, whom: Addressee, kinds: Sequence[type[MessageKind]], now: datetime
) -> dict[str, Any]:
    """What every table holds that is about the person or was written to them; times are UTC, as ISO 8601."""
    rows: dict[str, list[dict[str, Any]]] = {}
    own = Base.metadata.tables[ContactAddress.__tablename__]
    for table, column in [(own, "contact_id"), *places()]:
        rows[table.name] = await _rows(session, table, table.c[column].in_(whom.ids))
    for kind in kinds:
        theirs = kind.written_to(whom)
        if theirs is not None and not hasattr(kind.model, "contractor_id"):
            table = Base.metadata.tables[kind.model.__tablename__]
            rows[table.name] = await _rows(session, table, theirs)
        if (heard := kind.heard_from(whom)) is not None:
            said = await session.execute(heard)
            rows[f"{kind.name}: what they wrote"] = [
                {"id": row_id, "at": at.isoformat(), "text": text} for row_id, at, text in said
            ]
    opt_outs = {row.id: row for one in whom.ids for row in await history_of(session, one, whom.addresses)}
    rows["opt_outs"] = [_as_json({c.key: getattr(row, c.key) for c in row.__table__.c}) for row in opt_outs.values()]
    person = {column.key: getattr(contact, column.key) for column in Contractor.__table__.c}
    return {
        "exported_at": now.isoformat(),
        "person": _as_json(person),
        "trust": (await trust_of(session, [contact.id]))[contact.id],
        "rows": {name: found for name, found in rows.items() if found},
    }


async def _rows(session: AsyncSession, table: Table, which: Any) -> list[dict[str, Any]]:
    found = await session.execute(select(table).where(which).order_by(table.c.id))
    return [_as_json(dict(row)) for row in found.mappings()]


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
