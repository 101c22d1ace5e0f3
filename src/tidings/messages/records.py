"""Writing down what became of messages: many rows and their ledger lines, one transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update

from tidings.channels.base import Channel, Receipt
from tidings.clock import Clock
from tidings.db.database import Database, is_away
from tidings.engine.coalesce import Coalescer
from tidings.engine.jobs import Run
from tidings.log import get_logger
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.outbox import Letter, Outbox
from tidings.messages.statuses import Reason, Status

log = get_logger(__name__)

RECORD_PATIENCE = 600.0
"""Seconds for which an outcome waits for a database that is away; forgotten, the message would leave again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one taking of a message ended: its row's new status, and what the ledger says of it.

    `held_until` is when the row may be taken again. A taking that ended in a wait which somebody asked for
    does not count as an attempt. `columns` are the feature's own.
    """

    outcome: Outcome
    status: Status
    reason: Reason | None = None
    error: str | None = None
    held_until: datetime | None = None
    counts: bool = True
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A hand-over to a provider: when it began, how long it took (ms), and the receipt if there is one."""

    left: datetime
    duration_ms: float
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    """New values of a row, and its line. `taking` is the attempt that they are the outcome of."""

    id: int
    taking: int
    row: Mapping[str, Any]
    line: Mapping[str, Any]


class Recorder:
    """Records the outcomes of one outbox's messages.

    Whoever lost a row to somebody else in the meantime does not overwrite it, except with the news that the
    message has left. `patience` is how many seconds a database may refuse an outcome before it is an error.
    """

    def __init__(
        self, outbox: Outbox, database: Database, channels: Mapping[str, Channel], clock: Clock, *, patience: float
    ) -> None:
        self._outbox = outbox
        self._database = database
        self._channels = channels
        self._clock = clock
        self._patience = patience
        self._records: Coalescer[_Record, None] = Coalescer(self._write, in_flight=database.batches)

    async def record(self, letter: Letter, run: Run, ending: Ending, attempt: Attempt | None = None) -> None:
        """Writes one outcome, trying again and again: an unrecorded hand-over would be repeated."""
        record = _Record(
            letter.id, letter.attempt, self._row(letter, ending), self._line(letter, run, ending, attempt)
        )
        wait, started = 0.05, time.monotonic()
        while True:
            try:
                return await self._records(record)
            except Exception as error:
                if time.monotonic() - started > (RECORD_PATIENCE if is_away(error) else self._patience):
                    raise
                log.warning("outcome not recorded yet", message_id=record.id, error=str(error))
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
        channel = self._channels.get(letter.channel)
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
            "inputs": {
                "scheduled_time": letter.scheduled_time.isoformat(),
                "not_after": letter.not_after.isoformat() if letter.not_after else None,
                "has_address": letter.address is not None,
            },
        }

    def _lateness(self, letter: Letter, left: datetime) -> float:
        real = self._clock.seconds_until(left) - self._clock.seconds_until(letter.scheduled_time)
        return round(real * 1000, 3)

    async def _write(self, records: Sequence[_Record]) -> list[None]:
        table = self._outbox.model.__table__
        async with self._database.writer.begin() as connection:
            alike: dict[tuple[bool, tuple[str, ...]], list[dict[str, Any]]] = {}
            for record in sorted(records, key=lambda record: record.id):
                kind = record.row["status"] is Status.SENT, tuple(record.row)
                alike.setdefault(kind, []).append({**record.row, "row_id": record.id, "taking": record.taking})
            for (sent, columns), rows in alike.items():
                statement = (
                    update(table)
                    .where(table.c.id == bindparam("row_id"))
                    .values({column: bindparam(column) for column in columns})
                )
                if not sent:
                    statement = statement.where(
                        table.c.status == Status.SENDING, table.c.attempts == bindparam("taking")
                    )
                await connection.execute(statement, rows)
            await write_lines(connection, [record.line for record in records])
        return [None] * len(records)
