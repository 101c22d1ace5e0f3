"""Taking message rows for sending: many rows, one UPDATE … RETURNING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import Clock
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


async def claim(
    database: Database, kind: MessageKind, rules: Rules, clock: Clock, lease: float, ids: Sequence[int]
) -> list[Claim]:
    """Takes the rows of `ids` that are due and free, for `lease` seconds, and answers for each id in turn.

    The gate decides in the same transaction, so that what it goes by cannot change before the row is taken.
    """
    async with database.writer.begin() as connection:
        until = clock.after(lease)  # only now: waiting for the writer's place is no part of the lease
        now = clock.now()
        taken = await _take(connection, kind, now, until, ids)
        messages = {message.id: message for message in await kind.load(connection, taken)} if taken else {}
        decisions = await admit(connection, kind.name, list(messages.values()), rules, now) if messages else {}
        others = set(ids) - set(messages)
        refused = await _explain(connection, kind, others) if others else {}
    claims: list[Claim] = []
    for message_id in ids:
        # The same id twice in one batch: only the first asker gets the message.
        message = messages.pop(message_id, None)
        if message is not None:
            claims.append(Claimed(message, until, decisions[message.id]))
        elif message_id in refused:
            claims.append(refused[message_id])
        else:
            claims.append(NotYet(until) if message_id in taken else AlreadyEnded(None))
    return claims


async def look_again(
    database: Database, kind: MessageKind, rules: Rules, clock: Clock, messages: Sequence[Message]
) -> list[Decision]:
    """What the gate says now about messages that were let out a while ago, as composing their texts took long."""
    async with database.writer.begin() as connection:
        decisions = await admit(connection, kind.name, messages, rules, clock.now())
    return [decisions[message.id] for message in messages]


async def _take(
    connection: AsyncConnection, kind: MessageKind, now: datetime, until: datetime, ids: Sequence[int]
) -> list[int]:
    model = kind.model
    free = (
        select(model.id)
        .where(
            model.id.in_(sorted(set(ids))),
            model.status.in_(OPEN),
            model.scheduled_time <= now + ROUNDING,
            or_(model.held_until.is_(None), model.held_until <= now + ROUNDING),
        )
        .order_by(model.id)  # everybody locks in the same order, so nobody deadlocks
        .with_for_update()
    )
    statement = (
        update(model)
        .where(model.id.in_(free))
        .values(status=Status.SENDING, held_until=until, attempts=model.attempts + 1, updated_at=now)
        .returning(model.id)
    )
    return list((await connection.execute(statement)).scalars())


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
