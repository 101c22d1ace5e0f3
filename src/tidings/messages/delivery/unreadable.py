"""Rows of which no message can be made: they fail, with the reason, instead of coming back for ever."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from tidings.db.database import Database
from tidings.db.rows import locked_ids
from tidings.engine.jobs import Run
from tidings.messages.kind import MessageKind
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import OPEN, Status


async def fail_unreadable(
    database: Database, kind: MessageKind, message_id: int, run: Run, error: str, now: datetime
) -> None:
    """The row has failed, and the ledger says why; nothing happens to one that has ended."""
    model = kind.model
    async with database.road.begin() as connection:
        failed = await connection.execute(
            update(model)
            .where(model.id.in_(locked_ids(model, model.id == message_id, model.status.in_(OPEN))))
            .values(status=Status.FAILED, error_message=error, held_until=None, updated_at=now)
            .returning(model.attempts)
        )
        attempts = failed.scalars().first()
        if attempts is None:
            return
        row = (await connection.execute(select(model.__table__).where(model.id == message_id))).one()
        line = {
            "at": now,
            "kind": kind.name,
            "message_id": message_id,
            "contact_id": kind.contact_of(row),
            "tenant": kind.tenant_of(row),
            "outcome": Outcome.FAILED,
            "attempt": attempts,
            "error": error,
            "request_id": run.request_id,
            "inputs": {},
        }
        await write_lines(connection, [line])
