"""The statements that write outcomes down: many rows and their ledger lines, one transaction, and what follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Dialect, Insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import Clock
from tidings.db.base import Base
from tidings.db.batches import among, arrays, change, insertion, update_rows
from tidings.db.database import Database
from tidings.db.failures import is_passing
from tidings.db.prepared import Prepared
from tidings.engine.jobs import Job
from tidings.log import get_logger
from tidings.messages.correspondents import Correspondents, Key
from tidings.messages.delivery.outcome import LINE, Record, Result, row_of
from tidings.messages.gate.standing import is_capped, settle_places
from tidings.messages.kind import Content, Ended, Message, MessageKind, follows
from tidings.messages.ledger import LedgerEntry, Outcome, write_lines
from tidings.messages.statuses import LEFT, OPEN, Status
from tidings.messages.usage import write_usage

log = get_logger(__name__)


class OutcomeRows:
    """Writes outcomes of one kind's messages.

    Whoever lost a row to somebody else in the meantime does not overwrite it, except with the news that the
    message has left. What follows from a result (the next of a series) is written in the same transaction.
    """

    def __init__(self, kind: MessageKind, database: Database, clock: Clock) -> None:
        self._kind = kind
        self._database = database
        self._clock = clock
        self._correspondents = Correspondents()

    async def prepare(self, connection: AsyncConnection) -> None:
        """Has the statement made and planned on this connection that writes down what was sent."""
        if self._may_be_plain():
            now = self._clock.now()
            columns = self._kind.columns_when_sent(Message(0, None, now, 1, "", None, "", {}), Content(""), now)
            row = row_of(0, 0, Result(Outcome.SENT, Status.SENT, columns=columns), now)
            await self._write_sent(connection, tuple(row), [], [])

    async def write(self, records: Sequence[Record], again: Collection[int], *, patiently: bool) -> list[Job]:
        """Writes them all or none, and returns the jobs to arm.

        Messages with the ids `again` may have been written by a commit whose answer was lost: they are not written
        twice. `patiently`: an error that will pass in what follows undoes the whole, to be tried again.
        """
        records = sorted(records, key=lambda record: record.message.id)
        written = self._correspondents.new_among(one.message for one in records if one.status in LEFT)
        jobs = await self._write(records, again, written, patiently=patiently)
        self._correspondents.remember(written)
        return jobs

    async def _write(
        self, records: Sequence[Record], again: Collection[int], written: Sequence[Key], *, patiently: bool
    ) -> list[Job]:
        now = self._clock.now()
        if not again and self._are_plain(records):
            async with self._database.road_at_once.begin() as connection:
                await self._correspondents.store(connection, written, now)
                rows, lines = [record.row for record in records], [record.line for record in records]
                await self._write_sent(connection, tuple(records[0].row), rows, lines)
            return []
        async with self._database.road.begin() as connection:
            await self._correspondents.store(connection, written, now)
            if again:
                present = await self._present(connection, again)
                records = [record for record in records if _name_of(record.line) not in present]
            return await self._write_all(connection, records, patiently=patiently) if records else []

    def _may_be_plain(self) -> bool:
        """Whether nothing follows from messages that were sent, and one statement can write all that there is."""
        return self._database.dialect == "postgresql" and not follows(self._kind)

    def _are_plain(self, records: Sequence[Record]) -> bool:
        """Whether all were sent, and nothing but their rows and lines is to be written."""
        columns = records[0].row.keys()
        return self._may_be_plain() and all(
            record.status is Status.SENT
            and record.usage is None
            and not is_capped(record.message)
            and record.row.keys() == columns
            for record in records
        )

    async def _write_sent(
        self,
        connection: AsyncConnection,
        columns: tuple[str, ...],
        rows: Sequence[Mapping[str, Any]],
        lines: Sequence[Mapping[str, Any]],
    ) -> None:
        values = {**arrays(columns, rows, "row"), **arrays(LINE, lines, "line")}
        model: type[Base] = self._kind.model
        await _recording(model, columns, connection.dialect).fetch(connection, **values)

    async def _present(self, connection: AsyncConnection, ids: Collection[int]) -> set[tuple[Any, ...]]:
        """The lines about messages with these ids that the ledger has already."""
        line = LedgerEntry.__table__.c
        found = await connection.execute(
            select(line.message_id, line.attempt, line.outcome, line.at).where(
                line.kind == self._kind.name, among(line.message_id, "ids", connection.dialect.name)
            ),
            {"ids": sorted(ids)},
        )
        return {tuple(row) for row in found}

    async def _write_all(
        self, connection: AsyncConnection, records: Sequence[Record], *, patiently: bool
    ) -> list[Job]:
        applied = await self._write_rows(connection, records)
        await write_lines(connection, [record.line for record in records if not record.told])
        await write_usage(connection, [record.usage for record in records])
        await settle_places(
            connection,
            self._kind.name,
            [record.message for record in applied if record.status in LEFT],
            [record.message for record in applied if record.status not in LEFT],
            self._clock.now(),
        )
        return await self._follow(connection, applied, patiently=patiently) if follows(self._kind) else []

    async def _write_rows(self, connection: AsyncConnection, records: Sequence[Record]) -> list[Record]:
        """Writes the rows and returns the records that they now are as."""
        alike: dict[tuple[bool, tuple[str, ...]], list[Record]] = {}
        for record in records:
            kind = record.status is Status.SENT, tuple(name for name in record.row if name != "id")
            alike.setdefault(kind, []).append(record)
        # All of them at once, or one group after another would not be in order of id. What is sent needs no look.
        takings = {} if all(sent for sent, _ in alike) else await self._takings(connection, records)
        applied: list[Record] = []
        for (sent, columns), group in alike.items():
            if not sent:  # only those whose row is in the taking that they are the outcome of
                group = [record for record in group if takings.get(record.message.id) == record.attempt]
                if not group:
                    continue
            await update_rows(connection, self._kind.model, columns, [record.row for record in group])
            applied += group
        return applied

    async def _takings(self, connection: AsyncConnection, records: Sequence[Record]) -> dict[int, int]:
        """Locks the rows; which taking those are in that are being sent."""
        table = self._kind.model.__table__
        rows = await connection.execute(
            select(table.c.id, table.c.attempts, table.c.status)
            .where(table.c.id.in_([record.message.id for record in records]))
            .order_by(table.c.id)
            .with_for_update()
        )
        return {row.id: row.attempts for row in rows if row.status == Status.SENDING}

    async def _follow(self, connection: AsyncConnection, records: Sequence[Record], *, patiently: bool) -> list[Job]:
        """What follows from results. A mistake in it does not undo them, or what has left would leave again; and
        a mistake about one message is none about the others, which are tried one by one then."""
        records = [record for record in records if record.status not in OPEN or record.refusal is not None]
        jobs: list[Job] = []
        parts: list[Sequence[Record]] = [records] if records else []
        while parts:
            part = parts.pop(0)
            try:
                async with connection.begin_nested():
                    found = await self._what_follows(connection, part)
            except Exception as error:
                if connection.invalidated or (patiently and is_passing(error)):  # nothing is recorded yet
                    raise
                if len(part) > 1:
                    parts = [[record] for record in part]
                    continue
                log.exception("what follows a message was not written", message_id=part[0].message.id)
            else:
                jobs += found
        return jobs

    async def _what_follows(self, connection: AsyncConnection, records: Sequence[Record]) -> list[Job]:
        jobs: list[Job] = []
        for record in records:
            if record.refusal is not None:
                jobs += await self._kind.on_refused(connection, record.message, record.refusal)
        ended = [
            Ended(record.message, record.status, record.reason, record.refusal)
            for record in records
            if record.status not in OPEN
        ]
        return [*jobs, *(await self._kind.on_ended(connection, ended) if ended else ())]


def _name_of(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells a line from every other one."""
    return line["message_id"], line["attempt"], line["outcome"], line["at"]


def recording(model: type[Base], columns: tuple[str, ...]) -> Insert:
    """The one statement that writes down on PostgreSQL that messages were sent: their rows, and a line for each."""
    changed = change(model.__table__, columns, "row").cte("changed")
    return insertion(LedgerEntry.__table__, LINE, "line").add_cte(changed)


@cache
def _recording(model: type[Base], columns: tuple[str, ...], dialect: Dialect) -> Prepared:
    return Prepared(recording(model, columns), dialect)
