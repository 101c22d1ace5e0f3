"""Taking message rows for sending: many rows, one UPDATE … RETURNING that also brings what their messages need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import Clock
from tidings.errors import QueueUnavailable
from tidings.messages.delivery.taking import IN_DOUBT, taking_at_once, taking_in_transaction
from tidings.messages.gate.opt_outs import find_opt_outs
from tidings.messages.gate.policy import Decision
from tidings.messages.gate.rules import Rules
from tidings.messages.gate.standing import admit, is_capped
from tidings.messages.kind import Message, MessageKind
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import OPEN, Status
from tidings.messages.tenants import INSTALLATION
from tidings.work import Work

Answer = TypeVar("Answer")

LOCKED_PAUSE = 0.25
"""Seconds until a message is tried again whose row somebody else has locked."""


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


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No message can be made of the row: its kind raised `error`."""

    error: Exception


Claim = Claimed | AlreadyEnded | NotYet | Unreadable


@dataclass(slots=True)
class _Claiming:
    """Messages that are ours until then, the ids of those that somebody else was sending before, the decisions about
    them if they were made already, and what is wrong with rows of which no message can be made."""

    until: datetime
    messages: Sequence[Message]
    in_doubt: Collection[int] = ()
    decisions: dict[int, Decision] | None = None
    unreadable: Mapping[int, Exception] = field(default_factory=dict)


class Claims:
    """Claims messages of one kind, each for `lease` seconds.

    What the gate goes by is read after the rows are taken, so nothing that is said before a message is in our hands
    is missed. On PostgreSQL each of the two is one statement and one round trip, where a kind does not say otherwise.
    Rows that somebody has locked are left out there: who changes one message, for however long, delays no other.
    """

    def __init__(self, work: Work, kind: MessageKind, rules: Rules, lease: float) -> None:
        self._work = work
        self._database = database = work.database
        self._kind = kind
        self._rules = rules
        self._clock = work.clock
        self._lease = lease
        # Rows are taken and decided about in one transaction where the kind changes more, or there is one writer.
        own = getattr(kind.load, "__func__", None) is not MessageKind.load
        self._together = own or database.dialect != "postgresql"
        taking = taking_in_transaction if self._together else taking_at_once
        # mypy takes the hash of a class for that of its instances
        self._take = taking(type(kind), database.road.dialect)  # type: ignore[arg-type]

    async def claim(self, ids: Sequence[int]) -> list[Claim]:
        """Takes the rows of `ids` that are due and free, and answers for each id in turn."""
        taken = await _once_more(lambda: self._claim(ids))
        messages, until, decisions = taken.messages, taken.until, taken.decisions
        if taken.in_doubt:
            messages = await self._without_handed_over(messages, taken.in_doubt)
        if decisions is None:
            decisions = await self._decide_or_give_back(messages, until)
        if taken.unreadable:
            await self._give_back([*taken.unreadable], until)
        waiting = set(ids) - {message.id for message in messages} - taken.unreadable.keys()
        refused = await _once_more(lambda: self._explain(waiting)) if waiting else {}
        claims: dict[int, Claim] = {
            **{message.id: Claimed(message, until, decisions[message.id]) for message in messages},
            **{row_id: Unreadable(error) for row_id, error in taken.unreadable.items()},
            **refused,
        }
        answers: list[Claim] = []
        for one in ids:
            answers.append(claims.get(one) or AlreadyEnded(None))
            if one in decisions or one in taken.unreadable:
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

    async def _claim(self, ids: Sequence[int]) -> _Claiming:
        taken: _Claiming | None = None
        try:
            async with (self._database.road if self._together else self._database.road_at_once).begin() as connection:
                taken = await self._take_and_load(connection, ids)
                if self._together or not self._takes_places(taken.messages):
                    taken.decisions = await self._admit(connection, taken.messages) if taken.messages else {}
        except Exception:
            if taken is None or self._together:
                raise  # otherwise it failed between the two, and the messages are ours
        return taken

    def _takes_places(self, messages: Sequence[Message]) -> bool:
        return any(is_capped(one) and (self._rules.caps or one.tenant != INSTALLATION) for one in messages)

    async def _take_and_load(self, connection: AsyncConnection, ids: Sequence[int]) -> _Claiming:
        until = self._clock.after(self._lease)  # only now: waiting for a connection is no part of the lease
        now = self._clock.now()
        rows = await self._take(connection, sorted(set(ids)), now, until)
        if not rows:
            return _Claiming(until, ())
        messages, unreadable = await self._load(connection, rows)
        in_doubt = {row["id"] for row in rows if row["_in_doubt"]}
        if in_doubt:
            lines = [self._doubt(message, now) for message in messages if message.id in in_doubt]
            await write_lines(connection, lines)
        return _Claiming(until, messages, in_doubt, unreadable=unreadable)

    async def _load(
        self, connection: AsyncConnection, rows: Sequence[dict[str, Any]]
    ) -> tuple[Sequence[Message], Mapping[int, Exception]]:
        """The messages of rows. Where all is undone by an error it is raised: then each row is tried by itself."""
        try:
            return await self._kind.load(connection, rows), {}
        except Exception:
            if self._together:
                raise
        messages: list[Message] = []
        unreadable: dict[int, Exception] = {}
        for row in rows:
            try:
                messages += await self._kind.load(connection, [row])
            except Exception as error:
                unreadable[row["id"]] = error
        return messages, unreadable

    def _doubt(self, message: Message, now: datetime) -> dict[str, Any]:
        return {
            "at": now,
            "kind": self._kind.name,
            "message_id": message.id,
            "contact_id": message.contact_id,
            "tenant": message.tenant,
            "outcome": Outcome.IN_DOUBT,
            "attempt": message.attempt - 1,
            "channel": message.channel,
            "error": IN_DOUBT,
            "inputs": {},
        }

    async def _without_handed_over(self, messages: Sequence[Message], in_doubt: Collection[int]) -> Sequence[Message]:
        """Without those that another process knows to have left, and only could not write down yet."""
        names = {self._kind.job_id(one): one for one in in_doubt}
        try:
            held = {names[name] for name in await self._work.queues.handed_over.among([*names])}
        except QueueUnavailable:  # nobody can say so
            held = set(in_doubt)
        return [message for message in messages if message.id not in held]

    async def _decide_or_give_back(self, messages: Sequence[Message], until: datetime) -> dict[int, Decision]:
        """The decisions; the rows are free again where none can be made."""
        try:
            return await _once_more(lambda: self._decide(messages))
        except Exception:
            await self._give_back([message.id for message in messages], until)
            raise

    async def _give_back(self, ids: Sequence[int], until: datetime) -> None:
        """Frees rows that are ours until then; where that is not possible they are free when the lease ends."""
        table = self._kind.model.__table__
        ours = (table.c.id.in_(sorted(ids)), table.c.status == Status.SENDING, table.c.held_until == until)
        locked = select(table.c.id).where(*ours).order_by(table.c.id).with_for_update()
        with suppress(Exception):
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
            return await _explain(connection, self._kind, ids, self._clock)


async def _once_more(step: Callable[[], Awaitable[Answer]]) -> Answer:
    """Does a step again whose connection turned out to be dead: nothing has come of it."""
    try:
        return await step()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        return await step()


async def _explain(
    connection: AsyncConnection, kind: MessageKind, ids: Collection[int], clock: Clock
) -> dict[int, AlreadyEnded | NotYet]:
    """What is with rows that could not be taken. Those that are due and free are locked, and tried again soon."""
    model, now = kind.model, clock.now()
    rows = await connection.execute(
        select(model.id, model.status, model.scheduled_time, model.held_until).where(model.id.in_(sorted(ids)))
    )
    answers: dict[int, AlreadyEnded | NotYet] = {}
    for row in rows:
        if row.status not in OPEN:
            answers[row.id] = AlreadyEnded(row.status)
        else:
            until = max(row.scheduled_time, row.held_until or row.scheduled_time)
            answers[row.id] = NotYet(until if until > now else clock.after(LOCKED_PAUSE))
    return answers
