"""Writing down what became of messages: many rows and their ledger lines, one transaction, and what follows."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Dialect, Insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.ai.base import Draft
from tidings.db.base import Base
from tidings.db.batches import arrays, change, insertion, update_rows
from tidings.db.database import is_away
from tidings.db.prepared import Prepared
from tidings.engine.coalesce import Gatherer
from tidings.engine.jobs import Job, Run
from tidings.errors import SendError
from tidings.log import get_logger
from tidings.messages.delivery.providers import Providers
from tidings.messages.gate.standing import is_capped, settle_places
from tidings.messages.kind import Content, Ended, Message, MessageKind, follows
from tidings.messages.ledger import DeliveryStatus, LedgerEntry, Outcome, write_lines
from tidings.messages.statuses import LEFT, OPEN, Reason, Status
from tidings.messages.usage import usage_row, write_usage
from tidings.providers.base import Receipt
from tidings.work import Work

log = get_logger(__name__)

RECORD_PATIENCE = 600.0
"""Seconds for which an outcome waits for a database that is away; forgotten, the message would leave again."""


COMPANY = 0.02
"""Seconds that an outcome waits to be recorded with others, while there are others on their way."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one taking of a message ended: its row's new status, and what the ledger says of it.

    `held_until` is when the row may be taken again. A taking that ended in a wait which somebody asked for
    does not count as an attempt. `columns` are the kind's own, `inputs` what the gate went by, `refusal` is what the
    provider said that did not take it.
    """

    outcome: Outcome
    status: Status
    reason: Reason | None = None
    error: str | None = None
    held_until: datetime | None = None
    counts: bool = True
    columns: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    draft: Draft | None = None
    refusal: SendError | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A hand-over to a provider: when it began, how long it took (ms), and the receipt if there is one."""

    left: datetime
    duration_ms: float
    receipt: Receipt | None = None


Recorded = Callable[[Exception | None], None]
"""Called when an outcome is written down, or with the error when it could not be."""

FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0
"""Seconds until an outcome that was not taken is written again; doubled each time."""


@dataclass(slots=True)
class _Record:
    """New values of a row, and its line. Both are the result of one taking of the message.

    `since` is when it was to be written first, by `time.monotonic`, and `wait` the seconds until it is tried again.
    """

    message: Message
    result: Result
    row: Mapping[str, Any]
    line: Mapping[str, Any]
    recorded: Recorded
    since: float
    wait: float = FIRST_WAIT


class Recorder:
    """Records the outcomes of one kind's messages.

    Whoever lost a row to somebody else in the meantime does not overwrite it, except with the news that the
    message has left. What follows from a result (the next of a series) is written in the same transaction.
    `patience` is how many seconds a database may refuse an outcome before it is an error.
    """

    def __init__(self, kind: MessageKind, work: Work, providers: Providers, *, patience: float) -> None:
        self._kind = kind
        self._work = work
        self._providers = providers
        self._clock = work.clock
        self._database = work.database
        self._patience = patience
        self._records: Gatherer[_Record] = Gatherer(
            self._write, failed=self._not_written, in_flight=work.database.batches
        )

    def record(self, message: Message, run: Run, result: Result, attempt: Attempt | None, recorded: Recorded) -> None:
        """Writes one outcome, trying again and again: an unrecorded hand-over would be repeated."""
        row = self._row(message.id, message.attempt, result)
        line = self._line(message, run, result, attempt)
        record = _Record(message, result, row, line, recorded, time.monotonic())
        self._records.add([record], COMPANY if run.slots.busy else 0.0, enough=run.slots.limit)

    def _not_written(self, record: _Record, error: Exception) -> None:
        if time.monotonic() - record.since > (RECORD_PATIENCE if is_away(error) else self._patience):
            record.recorded(error)
            return
        log.warning("outcome not recorded yet", message_id=record.message.id, error=str(error))
        asyncio.get_running_loop().call_later(record.wait, self._records.add, [record])
        record.wait = min(record.wait * 2, LONGEST_WAIT)

    def _row(self, message_id: int, attempt: int, result: Result) -> dict[str, Any]:
        return {
            "id": message_id,
            "status": result.status,
            **({"status_reason": result.reason} if result.status is Status.SKIPPED else {}),
            **({} if result.counts else {"attempts": attempt - 1}),
            "error_message": result.error,
            "held_until": result.held_until,
            "updated_at": self._clock.now(),
            **result.columns,
        }

    def _line(self, message: Message, run: Run, result: Result, attempt: Attempt | None) -> dict[str, Any]:
        receipt = attempt.receipt if attempt else None
        provider = self._providers.of(message)
        return {
            "at": self._clock.now(),
            "kind": self._kind.name,
            "message_id": message.id,
            "contact_id": message.contact_id,
            "outcome": result.outcome,
            "reason": result.reason,
            "attempt": message.attempt,
            "channel": message.channel,
            "provider": provider.name if attempt and provider else None,
            "provider_message_id": receipt.provider_message_id if receipt else None,
            "error": result.error,
            "lateness_ms": self._lateness(message, attempt.left) if attempt else None,
            "duration_ms": attempt.duration_ms if attempt else None,
            "request_id": run.request_id,
            "inputs": {**result.inputs, **_written_by(result.draft)},
            "delivery_status": DeliveryStatus.SENT if result.outcome is Outcome.SENT else None,
        }

    def _lateness(self, message: Message, left: datetime) -> float:
        real = self._clock.seconds_until(left) - self._clock.seconds_until(message.scheduled_time)
        return round(real * 1000, 3)

    async def prepare(self, connection: AsyncConnection) -> None:
        """Has the statement made and planned on this connection that writes down what was sent."""
        if self._may_be_plain():
            now = self._clock.now()
            columns = self._kind.columns_when_sent(Message(0, None, now, 1, "", None, "", {}), Content(""), now)
            row = self._row(0, 0, Result(Outcome.SENT, Status.SENT, columns=columns))
            await self._write_sent(connection, tuple(row), [], [])

    async def _write(self, records: Sequence[_Record]) -> None:
        records = sorted(records, key=lambda record: record.message.id)
        if self._are_plain(records):
            async with self._database.road_at_once.begin() as connection:
                rows, lines = [record.row for record in records], [record.line for record in records]
                await self._write_sent(connection, tuple(records[0].row), rows, lines)
            jobs: list[Job] = []
        else:
            jobs = await self._write_all(records)
        outcomes = Counter(record.result.outcome.value for record in records)
        log.info("messages recorded", kind=self._kind.name, of_many=True, **outcomes)
        try:
            await self._work.release(jobs)
        except Exception:  # what is recorded must not be recorded again for it
            log.exception("jobs not released; recovery will add them", jobs=len(jobs))
        for record in records:
            record.recorded(None)

    def _may_be_plain(self) -> bool:
        """Whether nothing follows from messages that were sent, and one statement can write all that there is."""
        return self._database.dialect == "postgresql" and not follows(self._kind)

    def _are_plain(self, records: Sequence[_Record]) -> bool:
        """Whether all were sent, and nothing but their rows and lines is to be written."""
        columns = records[0].row.keys()
        return self._may_be_plain() and all(
            record.result.status is Status.SENT
            and record.result.draft is None
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

    async def _write_all(self, records: Sequence[_Record]) -> list[Job]:
        async with self._database.road.begin() as connection:
            applied = await self._write_rows(connection, records)
            await write_lines(connection, [record.line for record in records])
            await write_usage(connection, [self._usage(record) for record in records])
            await settle_places(
                connection,
                self._kind.name,
                [record.message for record in applied if record.result.status in LEFT],
                [record.message for record in applied if record.result.status not in LEFT],
                self._clock.now(),
            )
            return await self._follow(connection, applied)

    async def _follow(self, connection: AsyncConnection, records: Sequence[_Record]) -> list[Job]:
        """What follows from results. A mistake in it does not undo them, or what has left would leave again."""
        if not follows(self._kind):
            return []
        ended = [
            Ended(record.message, record.result.status, record.result.reason, record.result.refusal)
            for record in records
            if record.result.status not in OPEN
        ]
        refused = [(record.message, error) for record in records if (error := record.result.refusal) is not None]
        if not ended and not refused:
            return []
        try:
            async with connection.begin_nested():
                jobs = [
                    job
                    for message, error in refused
                    for job in await self._kind.on_refused(connection, message, error)
                ]
                return [*jobs, *(await self._kind.on_ended(connection, ended) if ended else ())]
        except Exception:
            if connection.invalidated:  # nothing is recorded yet
                raise
            log.exception("what follows a message was not written", ids=[record.message.id for record in records])
            return []

    async def _write_rows(self, connection: AsyncConnection, records: Sequence[_Record]) -> list[_Record]:
        """Writes the rows and returns the records that they now are as."""
        alike: dict[tuple[bool, tuple[str, ...]], list[_Record]] = {}
        for record in records:
            kind = record.result.status is Status.SENT, tuple(name for name in record.row if name != "id")
            alike.setdefault(kind, []).append(record)
        # All of them at once, or one group after another would not be in order of id. What is sent needs no look.
        takings = {} if all(sent for sent, _ in alike) else await self._takings(connection, records)
        applied: list[_Record] = []
        for (sent, columns), group in alike.items():
            if not sent:  # only those whose row is in the taking that they are the outcome of
                group = [record for record in group if takings.get(record.message.id) == record.message.attempt]
                if not group:
                    continue
            await update_rows(connection, self._kind.model, columns, [record.row for record in group])
            applied += group
        return applied

    async def _takings(self, connection: AsyncConnection, records: Sequence[_Record]) -> dict[int, int]:
        """Locks the rows; which taking those are in that are being sent."""
        table = self._kind.model.__table__
        rows = await connection.execute(
            select(table.c.id, table.c.attempts, table.c.status)
            .where(table.c.id.in_([record.message.id for record in records]))
            .order_by(table.c.id)
            .with_for_update()
        )
        return {row.id: row.attempts for row in rows if row.status == Status.SENDING}

    def _usage(self, record: _Record) -> dict[str, Any] | None:
        return usage_row(record.line["at"], self._kind.name, record.message.id, record.result.draft)


LINE = (
    *("at", "kind", "message_id", "contact_id", "outcome", "reason", "attempt", "channel", "provider"),
    *("provider_message_id", "error", "lateness_ms", "duration_ms", "request_id", "inputs", "delivery_status"),
)
"""The columns of a line of the ledger that are known when an outcome is recorded."""


def recording(model: type[Base], columns: tuple[str, ...]) -> Insert:
    """The one statement that writes down on PostgreSQL that messages were sent: their rows, and a line for each."""
    changed = change(model.__table__, columns, "row").cte("changed")
    return insertion(LedgerEntry.__table__, LINE, "line").add_cte(changed)


@cache
def _recording(model: type[Base], columns: tuple[str, ...], dialect: Dialect) -> Prepared:
    return Prepared(recording(model, columns), dialect)


def _written_by(draft: Draft | None) -> dict[str, Any]:
    if draft is None:
        return {}
    return {"written_by": {"author": draft.author, "model": draft.model, "fallback": draft.fallback}}
