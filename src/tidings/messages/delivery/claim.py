"""Taking message rows for sending: many rows, one UPDATE … RETURNING that also brings what their messages need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Executable, Table, bindparam, func, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.visitors import replacement_traverse

from tidings.clock import Clock
from tidings.db.batches import among
from tidings.db.database import Database
from tidings.messages.gate.policy import Decision, Rules
from tidings.messages.gate.standing import admit
from tidings.messages.kind import Message, MessageKind
from tidings.messages.statuses import OPEN, Status

ROUNDING = timedelta(milliseconds=1)
"""BullMQ rounds the clock to whole milliseconds, so a job may start half of one before its time."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message in our hands, and what the gate decided about it; from `until` on others may take its row."""

    message: Message
    until: datetime
    decision: Decision


@dataclass(frozen=True, slots=True)
class AlreadyEnded:
    """Nothing to do: the message is sent, failed, cancelled or skipped already; None: there is no such row."""

    status: str | None


@dataclass(frozen=True, slots=True)
class NotYet:
    """Not to be taken before `until`: it was rescheduled, or another worker is sending it."""

    until: datetime


Claim = Claimed | AlreadyEnded | NotYet


class Claims:
    """Claims messages of one kind, each for `lease` seconds.

    The gate decides in the same transaction, so that what it goes by cannot change before the row is taken.
    """

    def __init__(self, database: Database, kind: MessageKind, rules: Rules, clock: Clock, lease: float) -> None:
        self._database = database
        self._kind = kind
        self._rules = rules
        self._clock = clock
        self._lease = lease
        self._take = _taking_of(kind, database.dialect)

    async def claim(self, ids: Sequence[int]) -> list[Claim]:
        """Takes the rows of `ids` that are due and free, and answers for each id in turn."""
        try:
            return await self._claim(ids)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._claim(ids)  # the connection was an old one; nothing has been taken

    async def look_again(self, messages: Sequence[Message]) -> list[Decision]:
        """What the gate says now about messages that were let out a while ago, as composing them took long."""
        async with self._database.road.begin() as connection:
            decisions = await admit(connection, self._kind.name, messages, self._rules, self._clock.now())
        return [decisions[message.id] for message in messages]

    async def _claim(self, ids: Sequence[int]) -> list[Claim]:
        kind = self._kind
        async with self._database.road.begin() as connection:
            until = self._clock.after(self._lease)  # only now: waiting for a connection is no part of the lease
            now = self._clock.now()
            rows = await self._take(connection, sorted(set(ids)), now, until)
            messages = {message.id: message for message in await kind.load(connection, rows)} if rows else {}
            decisions = (
                await admit(connection, kind.name, list(messages.values()), self._rules, now) if messages else {}
            )
            others = set(ids) - set(messages)
            refused = await _explain(connection, kind, others) if others else {}
        taken = {row["id"] for row in rows} if others else ()
        claims: list[Claim] = []
        for message_id in ids:
            # The same id twice in one batch: only the first asker gets the message.
            message = messages.pop(message_id, None)
            if message is not None:
                claims.append(Claimed(message, until, decisions[message.id]))
            elif message_id in refused:
                claims.append(refused[message_id])
            else:
                claims.append(NotYet(until) if message_id in decisions or message_id in taken else AlreadyEnded(None))
        return claims


Take = Callable[[AsyncConnection, Sequence[int], datetime, datetime], Any]
"""Takes those of the ids that are free at the first moment, until the second one; answers with their rows."""


def _taking_of(kind: MessageKind, dialect: str) -> Take:
    """How rows of this kind are taken, its statements made once."""
    table: Table = kind.model.__table__
    free = (
        select(table.c.id)
        .where(
            among(table.c.id, "ids", dialect),
            table.c.status.in_(OPEN),
            table.c.scheduled_time <= bindparam("due"),
            or_(table.c.held_until.is_(None), table.c.held_until <= bindparam("due")),
        )
        .order_by(table.c.id)  # everybody locks in the same order, so nobody deadlocks
        .with_for_update()
    )
    change = update(table).values(
        status=Status.SENDING,
        held_until=bindparam("until"),
        attempts=table.c.attempts + 1,
        updated_at=bindparam("now"),
        **kind.columns_when_claimed(),
    )
    if dialect == "postgresql":
        return _in_one(table, kind.loaded, free, change)
    return _in_two(table, kind.loaded, free, change)


def _in_one(table: Table, loaded: Any, free: Any, change: Any) -> Take:
    """One statement, one round trip: what is loaded is joined to the rows as they were just written."""
    taken = change.where(table.c.id.in_(free)).returning(*table.c).cte("taken")

    def of_taken(element: Any, **_: Any) -> Any:
        if element is table:
            return taken
        if isinstance(element, Column) and element.table is table:
            return taken.c[element.name]
        return None

    statement = replacement_traverse(loaded, {}, of_taken).add_columns(
        # Nobody waits for the disk: a claim that a power cut undoes leaves the message as one that is in doubt,
        # which it is until its outcome is recorded, and that waits for both.
        select(func.set_config("synchronous_commit", "off", True)).scalar_subquery().label("_unsynchronised")
    )
    return _reading(statement)


def _in_two(table: Table, loaded: Any, free: Any, change: Any) -> Take:
    """For SQLite, where a change cannot be part of a query; there are no round trips either."""
    taking = change.where(table.c.id.in_(free)).returning(table.c.id)
    read = _reading(loaded.where(among(table.c.id, "ids", "sqlite")))

    async def take(connection: AsyncConnection, ids: Sequence[int], now: datetime, until: datetime) -> Any:
        values = {"ids": ids, "now": now, "until": until, "due": now + ROUNDING}
        taken = (await connection.execute(taking, values)).scalars().all()
        return await read(connection, taken, now, until) if taken else []

    return take


def _reading(statement: Executable) -> Take:
    async def read(connection: AsyncConnection, ids: Sequence[int], now: datetime, until: datetime) -> Any:
        values = {"ids": ids, "now": now, "until": until, "due": now + ROUNDING}
        result = await connection.execute(statement, values)
        names = tuple(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]

    return read


async def _explain(connection: AsyncConnection, kind: MessageKind, ids: set[int]) -> dict[int, AlreadyEnded | NotYet]:
    model = kind.model
    rows = await connection.execute(
        select(model.id, model.status, model.scheduled_time, model.held_until).where(model.id.in_(sorted(ids)))
    )
    return {
        row.id: NotYet(max(row.scheduled_time, row.held_until or row.scheduled_time))
        if row.status in OPEN
        else AlreadyEnded(row.status)
        for row in rows
    }
