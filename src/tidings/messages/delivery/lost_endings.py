"""Ends whose consequences were lost: what should have followed from them is written after all.

What follows from an end (the next one of a series, the news for a customer's server) is written with the end. A
mistake in it undoes no end, or what has left would leave again; so a row may have ended alone. Each kind says which
of its rows have (`MessageKind.unfollowed`), and a partial index holds those: to see that there are none costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text

from tidings.db.database import Database
from tidings.db.failures import is_away
from tidings.log import get_logger
from tidings.messages.kind import Ended, MessageKind
from tidings.messages.statuses import Reason, Status
from tidings.work import Work

log = get_logger(__name__)

PAGE = 100
"""Ends that one transaction makes good."""

MOST = 2000
"""Ends of a kind that one check looks at; the next one looks at the rest."""


async def read_lost(database: Database, kind: MessageKind, after: int, most: int) -> Sequence[int]:
    """The ids of up to `most` rows after this one that have ended without what follows."""
    if kind.unfollowed is None:
        return ()
    model = kind.model
    query = select(model.id).where(model.id > after, text(kind.unfollowed)).order_by(model.id).limit(most)
    async with database.reader.connect() as connection:
        return (await connection.execute(query)).scalars().all()


async def make_good(work: Work, kind: MessageKind) -> int:
    """Writes what should have followed from the ends of a kind's messages; returns of how many.

    Whoever does it at the same time, or records one of them, does it once: rows are locked. One that it cannot be
    written for is logged and left for the next time. Raises what a database raises that is away.
    """
    made = looked_at = after = 0
    while looked_at < MOST and (ids := await read_lost(work.database, kind, after, PAGE)):
        try:
            made += await _follow(work, kind, ids)
        except Exception as error:
            if is_away(error):
                raise
            made += await _follow_each(work, kind, ids)
        looked_at, after = looked_at + len(ids), ids[-1]
    if made:
        log.warning("what follows from ends was lost and is written now", kind=kind.name, messages=made)
    return made


async def _follow_each(work: Work, kind: MessageKind, ids: Sequence[int]) -> int:
    made = 0
    for one in ids:
        try:
            made += await _follow(work, kind, [one])
        except Exception as error:
            if is_away(error):
                raise
            log.exception("what follows a message was not written", kind=kind.name, message_id=one)
    return made


async def _follow(work: Work, kind: MessageKind, ids: Sequence[int]) -> int:
    model = kind.model
    async with work.begin() as unit:
        connection = await unit.session.connection()
        still = select(model.id).where(model.id.in_(ids), text(kind.unfollowed or "")).order_by(model.id)
        locked = (await connection.execute(still.with_for_update(skip_locked=True))).scalars().all()
        if not locked:
            return 0
        loaded = kind.loaded.add_columns(model.status.label("_status"), model.status_reason.label("_reason"))
        rows = await connection.execute(loaded.where(model.id.in_(locked)).order_by(model.id))
        ended = [_ended(kind, dict(row)) for row in rows.mappings()]
        unit.arm_many(await kind.on_ended(connection, ended))
        return len(ended)


def _ended(kind: MessageKind, row: dict[str, Any]) -> Ended:
    """The end of a row as it was recorded; what a provider said who refused it is not known any more."""
    status, reason = Status(row["_status"]), row["_reason"]
    return Ended(kind.message(row), status, Reason(reason) if reason and status is Status.SKIPPED else None)
