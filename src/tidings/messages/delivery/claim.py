"""Taking message rows for sending: many rows, one UPDATE … RETURNING that also brings what their messages need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Dialect,
    Select,
    Table,
    Update,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.visitors import replacement_traverse

from tidings.clock import Clock
from tidings.db.batches import among
from tidings.db.database import Database
from tidings.db.prepared import Prepared
from tidings.messages.gate.opt_outs import find_opt_outs
from tidings.messages.gate.policy import Decision, Rules
from tidings.messages.gate.standing import admit, is_capped
from tidings.messages.kind import Message, MessageKind
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import OPEN, Status

Answer = TypeVar("Answer")

IN_DOUBT = "its sender stopped, or failed, before it wrote down whether the message had left"
"""What a row says while it is sent again after that."""

LOCKED_PAUSE = 0.25
"""Seconds until a message is tried again whose row somebody else has locked."""

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
    """Not to be taken before `until`: it was rescheduled, another worker is sending it, or its row is locked."""

    until: datetime


Claim = Claimed | AlreadyEnded | NotYet


class Claims:
    """Claims messages of one kind, each for `lease` seconds.

    What the gate goes by is read after the rows are taken, so nothing that is said before a message is in our hands
    is missed. On PostgreSQL each of the two is one statement and one round trip, where a kind does not say otherwise.
    Rows that somebody has locked are left out there: who changes one message, for however long, delays no other.
    """

    def __init__(self, database: Database, kind: MessageKind, rules: Rules, clock: Clock, lease: float) -> None:
        self._database = database
        self._kind = kind
        self._rules = rules
        self._clock = clock
        self._lease = lease
        # Rows are taken and decided about in one transaction where the kind changes more, or there is one writer.
        own = getattr(kind.load, "__func__", None) is not MessageKind.load
        self._together = own or database.dialect != "postgresql"
        taking = _taking_in_transaction if self._together else _taking_at_once
        # mypy takes the hash of a class for that of its instances
        self._take = taking(type(kind), database.road.dialect)  # type: ignore[arg-type]

    async def claim(self, ids: Sequence[int]) -> list[Claim]:
        """Takes the rows of `ids` that are due and free, and answers for each id in turn."""
        until, messages, decisions = await _once_more(lambda: self._claim(ids))
        if decisions is None:
            decisions = await self._decide_or_give_back(messages, until)
        waiting = set(ids) - {message.id for message in messages}
        refused = await _once_more(lambda: self._explain(waiting)) if waiting else {}
        claims: dict[int, Claim] = {
            **{message.id: Claimed(message, until, decisions[message.id]) for message in messages},
            **refused,
        }
        answers: list[Claim] = []
        for one in ids:
            answers.append(claims.get(one) or AlreadyEnded(None))
            if one in decisions:
                claims[one] = NotYet(until)  # the same id twice: only the first asker gets the message
        return answers

    async def look_again(self, messages: Sequence[Message]) -> list[Decision]:
        """What the gate says now about messages that were let out a while ago, as composing them took long."""
        decisions = await self._decide(messages)
        return [decisions[message.id] for message in messages]

    async def prepare(self, connection: AsyncConnection) -> None:
        """Has the statements made and planned on this connection."""
        now = self._clock.now()
        await self._take(connection, [], now, now)
        await find_opt_outs(connection, (), ())

    async def _claim(self, ids: Sequence[int]) -> tuple[datetime, Sequence[Message], Mapping[int, Decision] | None]:
        """Until when which messages are ours, and the decisions about them if they were made already."""
        taken: tuple[datetime, Sequence[Message]] | None = None
        try:
            async with (self._database.road if self._together else self._database.road_at_once).begin() as connection:
                until, messages = taken = await self._take_and_load(connection, ids)
                if not messages:
                    return until, (), {}
                if not self._together and self._takes_places(messages):
                    return until, messages, None
                return until, messages, await self._admit(connection, messages)
        except Exception:
            if taken is None or self._together:
                raise
            return *taken, None  # it failed between the two; the messages are ours

    def _takes_places(self, messages: Sequence[Message]) -> bool:
        return bool(self._rules.caps) and any(is_capped(message) for message in messages)

    async def _take_and_load(
        self, connection: AsyncConnection, ids: Sequence[int]
    ) -> tuple[datetime, Sequence[Message]]:
        until = self._clock.after(self._lease)  # only now: waiting for a connection is no part of the lease
        now = self._clock.now()
        rows = await self._take(connection, sorted(set(ids)), now, until)
        if not rows:
            return until, ()
        messages = await self._kind.load(connection, rows)
        if doubtful := {row["id"] for row in rows if row["_in_doubt"]}:
            lines = [self._doubt(message, now) for message in messages if message.id in doubtful]
            await write_lines(connection, lines)
        return until, messages

    def _doubt(self, message: Message, now: datetime) -> dict[str, Any]:
        return {
            "at": now,
            "kind": self._kind.name,
            "message_id": message.id,
            "contact_id": message.contact_id,
            "outcome": Outcome.IN_DOUBT,
            "attempt": message.attempt - 1,
            "channel": message.channel,
            "error": IN_DOUBT,
            "inputs": {},
        }

    async def _decide_or_give_back(self, messages: Sequence[Message], until: datetime) -> dict[int, Decision]:
        """The decisions; the rows are free again where none can be made."""
        try:
            return await _once_more(lambda: self._decide(messages))
        except Exception:
            with suppress(Exception):  # then they are when the lease ends
                await self._give_back([message.id for message in messages], until)
            raise

    async def _give_back(self, ids: Sequence[int], until: datetime) -> None:
        table = self._kind.model.__table__
        ours = (table.c.id.in_(sorted(ids)), table.c.status == Status.SENDING, table.c.held_until == until)
        locked = select(table.c.id).where(*ours).order_by(table.c.id).with_for_update()
        async with self._database.road.begin() as connection:
            await connection.execute(
                update(table)
                .where(table.c.id.in_(locked))
                .values(status=Status.SCHEDULED, held_until=None, attempts=table.c.attempts - 1)
            )

    async def _decide(self, messages: Sequence[Message]) -> dict[int, Decision]:
        takes_places = self._takes_places(messages)
        async with (self._database.road if takes_places else self._database.road_at_once).begin() as connection:
            return await self._admit(connection, messages)

    async def _admit(self, connection: AsyncConnection, messages: Sequence[Message]) -> dict[int, Decision]:
        return await admit(connection, self._kind.name, messages, self._rules, self._clock.now())

    async def _explain(self, ids: Collection[int]) -> dict[int, AlreadyEnded | NotYet]:
        async with self._database.road_at_once.begin() as connection:
            return await _explain(connection, self._kind, ids, self._clock.after(LOCKED_PAUSE))


async def _once_more(step: Callable[[], Awaitable[Answer]]) -> Answer:
    """Does a step again whose connection turned out to be dead: nothing has come of it."""
    try:
        return await step()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        return await step()


Take = Callable[[AsyncConnection, Sequence[int], datetime, datetime], Any]
"""Takes those of the ids that are free at the first moment, until the second one; answers with their rows."""


@cache
def claiming(kind: type[MessageKind]) -> Select[Any]:
    """The one statement that claims rows of a kind on PostgreSQL: what it loads is joined to them as just written."""
    table: Table = kind.model.__table__
    taken = _change(kind).where(table.c.id.in_(_free(table, "postgresql"))).returning(*table.c).cte("taken")

    def of_taken(element: Any, **_: Any) -> Any:
        if element is table:
            return taken
        if isinstance(element, Column) and element.table is table:
            return taken.c[element.name]
        return None

    loaded: Any = replacement_traverse(kind.loaded, {}, of_taken)
    statement: Select[Any] = loaded.add_columns(
        _is_in_doubt(taken.c),
        # Nobody waits for the disk: a claim that a power cut undoes leaves the message as one that is in doubt,
        # which it is until its outcome is recorded, and that waits for both.
        select(func.set_config("synchronous_commit", "off", True)).scalar_subquery().label("_unsynchronised"),
    )
    return statement


def _free(table: Table, dialect: str) -> Select[Any]:
    return (
        select(table.c.id)
        .where(
            among(table.c.id, "ids", dialect),
            table.c.status.in_(OPEN),
            table.c.scheduled_time <= bindparam("due"),
            or_(table.c.held_until.is_(None), table.c.held_until <= bindparam("due")),
        )
        .order_by(table.c.id)  # everybody locks in the same order, so nobody deadlocks
        .with_for_update(skip_locked=True)
    )


def _change(kind: type[MessageKind]) -> Update:
    table: Table = kind.model.__table__
    return update(table).values(
        status=Status.SENDING,
        error_message=case((table.c.status == Status.SENDING, IN_DOUBT), else_=table.c.error_message),
        held_until=bindparam("until"),
        attempts=table.c.attempts + 1,
        updated_at=bindparam("now"),
        **kind.columns_when_claimed(),
    )


def _is_in_doubt(columns: Any) -> Any:
    """Whether a row was being sent by somebody else, whose lease is over, when it was taken."""
    return (columns.error_message == IN_DOUBT).label("_in_doubt")


@lru_cache(maxsize=64)  # a kind's statements are the same for all databases of a dialect, and dear to make
def _taking_at_once(kind: type[MessageKind], dialect: Dialect) -> Take:
    statement = Prepared(claiming(kind), dialect)  # type: ignore[arg-type]

    async def take(connection: AsyncConnection, ids: Sequence[int], now: datetime, until: datetime) -> Any:
        return await statement.fetch(connection, ids=ids, now=now, until=until, due=now + ROUNDING)

    return take


@lru_cache(maxsize=64)
def _taking_in_transaction(kind: type[MessageKind], dialect: Dialect) -> Take:
    """For SQLite, where a change cannot be part of a query, and for kinds that change more as they load."""
    if dialect.name == "postgresql":
        return _reading(claiming(kind))  # type: ignore[arg-type]
    table: Table = kind.model.__table__
    taking = _change(kind).where(table.c.id.in_(_free(table, dialect.name))).returning(table.c.id)
    loaded = kind.loaded.add_columns(_is_in_doubt(table.c))
    read = _reading(loaded.where(among(table.c.id, "ids", dialect.name)))

    async def take(connection: AsyncConnection, ids: Sequence[int], now: datetime, until: datetime) -> Any:
        values = {"ids": ids, "now": now, "until": until, "due": now + ROUNDING}
        taken = (await connection.execute(taking, values)).scalars().all()
        return await read(connection, taken, now, until) if taken else []

    return take


def _reading(statement: Select[Any]) -> Take:
    async def read(connection: AsyncConnection, ids: Sequence[int], now: datetime, until: datetime) -> Any:
        values = {"ids": ids, "now": now, "until": until, "due": now + ROUNDING}
        result = await connection.execute(statement, values)
        names = tuple(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]

    return read


async def _explain(
    connection: AsyncConnection, kind: MessageKind, ids: Collection[int], soon: datetime
) -> dict[int, AlreadyEnded | NotYet]:
    """What is with rows that could not be taken. Those that are due and free are locked, and tried again `soon`."""
    model = kind.model
    rows = await connection.execute(
        select(model.id, model.status, model.scheduled_time, model.held_until).where(model.id.in_(sorted(ids)))
    )
    return {
        row.id: NotYet(max(soon, row.scheduled_time, row.held_until or row.scheduled_time))
        if row.status in OPEN
        else AlreadyEnded(row.status)
        for row in rows
    }
