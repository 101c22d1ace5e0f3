"""Writing down what became of messages: many rows and their ledger lines, one transaction, and what follows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.ai.base import Draft
from tidings.db.database import is_away
from tidings.engine.coalesce import Coalescer
from tidings.engine.jobs import Job, Run
from tidings.log import get_logger
from tidings.messages.gate.standing import settle_places
from tidings.messages.kind import Conclusion, Letter, Outbox
from tidings.messages.ledger import DeliveryStatus, Outcome, write_lines
from tidings.messages.statuses import OPEN, Reason, Status
from tidings.messages.usage import usage_row, write_usage
from tidings.providers.base import Channel, Receipt
from tidings.work import Work

log = get_logger(__name__)

RECORD_PATIENCE = 600.0
"""Seconds for which an outcome waits for a database that is away; forgotten, the message would leave again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one taking of a message ended: its row's new status, and what the ledger says of it.

    `held_until` is when the row may be taken again. A taking that ended in a wait which somebody asked for
    does not count as an attempt. `columns` are the feature's own, `inputs` what the gate went by.
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


@dataclass(frozen=True, slots=True)
class Attempt:
    """A hand-over to a provider: when it began, how long it took (ms), and the receipt if there is one."""

    left: datetime
    duration_ms: float
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    """New values of a row, and its line. Both are the outcome of one taking of the letter."""

    letter: Letter
    ending: Ending
    row: Mapping[str, Any]
    line: Mapping[str, Any]


class Recorder:
    """Records the outcomes of one outbox's messages.

    Whoever lost a row to somebody else in the meantime does not overwrite it, except with the news that the
    message has left. What follows from an ending (the next of a series) is written in the same transaction.
    `patience` is how many seconds a database may refuse an outcome before it is an error.
    """

    def __init__(self, outbox: Outbox, work: Work, channels: Mapping[str, Channel], *, patience: float) -> None:
        self._outbox = outbox
        self._work = work
        self._channels = channels
        self._clock = work.clock
        self._patience = patience
        self._records: Coalescer[_Record, None] = Coalescer(self._write, in_flight=work.database.batches)

    async def record(self, letter: Letter, run: Run, ending: Ending, attempt: Attempt | None = None) -> None:
        """Writes one outcome, trying again and again: an unrecorded hand-over would be repeated."""
        record = _Record(letter, ending, self._row(letter, ending), self._line(letter, run, ending, attempt))
        wait, started = 0.05, time.monotonic()
        while True:
            try:
                return await self._records(record)
            except Exception as error:
                if time.monotonic() - started > (RECORD_PATIENCE if is_away(error) else self._patience):
                    raise
                log.warning("outcome not recorded yet", message_id=letter.id, error=str(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, 2.0)

    def _row(self, letter: Letter, ending: Ending) -> dict[str, Any]:
        return {
            "status": ending.status,
            **({"status_reason": ending.reason} if ending.status is Status.SKIPPED else {}),
            **({} if ending.counts else {"attempts": letter.attempt - 1}),
            "error_message": ending.error,
            "held_until": ending.held_until,
            "updated_at": self._clock.now(),
            **ending.columns,
        }

    def _line(self, letter: Letter, run: Run, ending: Ending, attempt: Attempt | None) -> dict[str, Any]:
        receipt = attempt.receipt if attempt else None
        channel = self._channels.get(letter.way)
        return {
            "at": self._clock.now(),
            "kind": self._outbox.kind,
            "message_id": letter.id,
            "contact_id": letter.contact_id,
            "outcome": ending.outcome,
            "reason": ending.reason,
            "attempt": letter.attempt,
            "channel": letter.channel,
            "provider": channel.name if attempt and channel else None,
            "provider_message_id": receipt.provider_message_id if receipt else None,
            "error": ending.error,
            "lateness_ms": self._lateness(letter, attempt.left) if attempt else None,
            "duration_ms": attempt.duration_ms if attempt else None,
            "request_id": run.request_id,
            "inputs": {**ending.inputs, **_written_by(ending.draft)},
            "delivery_status": DeliveryStatus.SENT if ending.outcome is Outcome.SENT else None,
        }

    def _lateness(self, letter: Letter, left: datetime) -> float:
        real = self._clock.seconds_until(left) - self._clock.seconds_until(letter.scheduled_time)
        return round(real * 1000, 3)

    async def _write(self, records: Sequence[_Record]) -> list[None]:
        jobs: Sequence[Job] = ()
        async with self._work.database.writer.begin() as connection:
            applied = await self._write_rows(connection, sorted(records, key=lambda record: record.letter.id))
            await write_lines(connection, [record.line for record in records])
            await write_usage(connection, [self._usage(record) for record in records])
            await settle_places(
                connection,
                self._outbox.kind,
                [record.letter for record in applied if record.ending.status is Status.SENT],
                [record.letter for record in applied if record.ending.status is not Status.SENT],
                self._clock.now(),
            )
            ended = [
                Conclusion(record.letter, record.ending.status, record.ending.reason)
                for record in applied
                if record.ending.status not in OPEN
            ]
            if ended:
                jobs = await self._conclude(connection, ended)
        await self._work.release(jobs)
        return [None] * len(records)

    async def _conclude(self, connection: AsyncConnection, ended: Sequence[Conclusion]) -> Sequence[Job]:
        """What follows from the endings. A mistake in it does not undo them, or what has left would leave again."""
        try:
            async with connection.begin_nested():
                return await self._outbox.conclude(connection, ended)
        except Exception:
            if connection.invalidated:  # nothing is recorded yet
                raise
            log.exception("what follows a message was not written", ids=[one.letter.id for one in ended])
            return ()

    async def _write_rows(self, connection: AsyncConnection, records: Sequence[_Record]) -> list[_Record]:
        """Writes the rows and returns the records that they now are as."""
        table = self._outbox.model.__table__
        alike: dict[tuple[bool, tuple[str, ...]], list[_Record]] = {}
        for record in records:
            kind = record.ending.status is Status.SENT, tuple(record.row)
            alike.setdefault(kind, []).append(record)
        applied: list[_Record] = []
        for (sent, columns), group in alike.items():
            if not sent:
                group = await self._still_ours(connection, group)
                if not group:
                    continue
            await connection.execute(
                update(table)
                .where(table.c.id == bindparam("row_id"))
                .values({column: bindparam(column) for column in columns}),
                [{**record.row, "row_id": record.letter.id} for record in group],
            )
            applied += group
        return applied

    async def _still_ours(self, connection: AsyncConnection, records: Sequence[_Record]) -> list[_Record]:
        """Those whose row is in the taking that they are the outcome of, locked."""
        table = self._outbox.model.__table__
        rows = await connection.execute(
            select(table.c.id, table.c.attempts)
            .where(table.c.id.in_([record.letter.id for record in records]), table.c.status == Status.SENDING)
            .order_by(table.c.id)
            .with_for_update()
        )
        takings = {row.id: row.attempts for row in rows}
        return [record for record in records if takings.get(record.letter.id) == record.letter.attempt]

    def _usage(self, record: _Record) -> dict[str, Any] | None:
        return usage_row(record.line["at"], self._outbox.kind, record.letter.id, record.ending.draft)


def _written_by(draft: Draft | None) -> dict[str, Any]:
    if draft is None:
        return {}
    return {"written_by": {"author": draft.author, "model": draft.model, "fallback": draft.fallback}}
