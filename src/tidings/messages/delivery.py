"""The one road out: claim → decide → compose → send → record.

Every message of every feature takes these five steps, in this order. Feature code is written for one
message; the database calls of concurrent messages are gathered: one statement claims many rows, one
records many outcomes. A message may be handed over twice only when a process dies between the provider's
answer and the record of it, and then under the same idempotency key.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.exc import SQLAlchemyError

from tidings.channels.base import Channel, Outgoing, Receipt
from tidings.clock import Clock
from tidings.db.database import Database
from tidings.engine.coalesce import Coalescer
from tidings.engine.jobs import GiveUpJob, PostponeJob, Run
from tidings.engine.policy import QueuePolicy
from tidings.errors import SendError, TemplateError
from tidings.log import get_logger
from tidings.messages.claims import Claim, NotYet, Settled, claim
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.outbox import Content, Letter, Outbox
from tidings.messages.policy import Defer, Refuse, Send, Skip, decide
from tidings.messages.statuses import Reason, Status

log = get_logger(__name__)

MAX_CRASHES = 10
"""Takings beyond a queue's attempts that may end without an outcome, before the message is given up."""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one letter: new values of its row, and its line in the ledger."""

    id: int
    row: Mapping[str, Any]
    line: Mapping[str, Any]


class Road:
    """The road out for the messages of one outbox.

    `deadline` is how many real seconds a provider has for one message. A claim lasts twice as long, and
    sending starts only in its first half, so it is over before anybody else may take the row. `policy` is
    the sending queue's, for its attempts and backoff.
    """

    def __init__(
        self,
        outbox: Outbox,
        policy: QueuePolicy,
        database: Database,
        channels: Mapping[str, Channel],
        clock: Clock,
        *,
        deadline: float,
    ) -> None:
        self.outbox = outbox
        self._policy = policy
        self._database = database
        self._channels = channels
        self._clock = clock
        self._deadline = deadline
        take = functools.partial(claim, database, outbox, clock, 2 * deadline)
        self._claims: Coalescer[int, Claim] = Coalescer(take, in_flight=database.batches)
        self._records: Coalescer[Record, None] = Coalescer(self._write, in_flight=database.batches)

    async def deliver(self, message_id: int, run: Run) -> str:
        """Brings one message out and returns what became of it.

        Raises PostponeJob when it is not to go yet, GiveUpJob when it has failed for good, and SendError
        when the provider failed and another attempt is due.
        """
        claimed = await self._claims(message_id)
        if isinstance(claimed, Settled):
            return f"skipped: {claimed.status or 'no such message'}"
        if isinstance(claimed, NotYet):
            raise PostponeJob(claimed.until)
        letter, send_by = claimed, time.monotonic() + self._deadline

        now = self._clock.now()
        match decide(letter, now):
            case Skip(reason):
                await self._record(letter, run, Outcome.SKIPPED, Status.SKIPPED, reason=reason)
                return f"skipped: {reason.sentence}"
            case Defer(until, reason):
                await self._record(letter, run, Outcome.DEFERRED, Status.SCHEDULED, reason=reason, held_until=until)
                raise PostponeJob(until)
            case Refuse(error):
                return await self._give_up(letter, run, error)
            case Send():
                pass
        if letter.attempt > self._policy.attempts + MAX_CRASHES:
            return await self._give_up(letter, run, f"{letter.attempt - 1} attempts ended without an outcome")

        try:
            content = self.outbox.compose(letter)
        except TemplateError as error:
            return await self._give_up(letter, run, str(error))

        started, left = time.perf_counter(), self._clock.now()
        try:
            receipt = await self._send(letter, content, send_by)
        except SendError as error:
            await self._record_failure(letter, run, error, left, _since(started))
            if error.retry_after is not None:
                raise PostponeJob(self._clock.after(error.retry_after)) from error
            if run.last or not error.retryable:
                raise GiveUpJob(str(error)) from error
            raise
        await self._record(
            letter,
            run,
            Outcome.SENT,
            Status.SENT,
            left=left,
            duration_ms=_since(started),
            receipt=receipt,
            columns=self.outbox.when_sent(letter, self._clock.now()),
        )
        return "sent"

    async def _send(self, letter: Letter, content: Content, send_by: float) -> Receipt:
        channel = self._channels.get(letter.channel)
        if channel is None:
            raise SendError(f"no provider is set up for channel {letter.channel!r}", retryable=False)
        if time.monotonic() > send_by:
            raise SendError("the claim on the message ended before it could be sent", retryable=True)
        assert letter.address is not None  # the gate refuses letters without one
        return await channel.send(
            Outgoing(
                to=letter.address,
                text=content.text,
                subject=content.subject,
                idempotency_key=letter.idempotency_key,
                metadata=content.metadata,
            )
        )

    async def _give_up(self, letter: Letter, run: Run, error: str) -> str:
        await self._record(letter, run, Outcome.FAILED, Status.FAILED, error=error)
        raise GiveUpJob(error)

    async def _record_failure(
        self, letter: Letter, run: Run, error: SendError, left: datetime, duration_ms: float
    ) -> None:
        final = error.retry_after is None and (run.last or not error.retryable)
        wait = error.retry_after if error.retry_after is not None else self._policy.backoff_after(run.attempt)
        await self._record(
            letter,
            run,
            Outcome.FAILED if final else Outcome.RETRY,
            Status.FAILED if final else Status.SCHEDULED,
            error=str(error),
            left=left,
            duration_ms=duration_ms,
            held_until=None if final else self._clock.after(wait),
        )

    async def _record(
        self,
        letter: Letter,
        run: Run,
        outcome: Outcome,
        status: Status,
        *,
        reason: Reason | None = None,
        error: str | None = None,
        held_until: datetime | None = None,
        left: datetime | None = None,
        duration_ms: float | None = None,
        receipt: Receipt | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        now = self._clock.now()
        late = (
            None
            if left is None
            else self._clock.seconds_until(left) - self._clock.seconds_until(letter.scheduled_time)
        )
        provider = receipt.provider if receipt else getattr(self._channels.get(letter.channel), "name", None)
        row = {
            "status": status,
            **({"status_reason": reason} if status is Status.SKIPPED else {}),
            "error_message": error,
            "held_until": held_until,
            "updated_at": now,
            **(columns or {}),
        }
        line = {
            "at": now,
            "kind": self.outbox.kind,
            "message_id": letter.id,
            "contact_id": letter.contact_id,
            "outcome": outcome,
            "reason": reason,
            "attempt": letter.attempt,
            "channel": letter.channel,
            "provider": provider if left else None,
            "provider_message_id": receipt.provider_message_id if receipt else None,
            "error": error,
            "lateness_ms": None if late is None else round(late * 1000, 3),
            "duration_ms": duration_ms,
            "request_id": run.request_id,
            "inputs": {
                "scheduled_time": letter.scheduled_time.isoformat(),
                "not_after": letter.not_after.isoformat() if letter.not_after else None,
                "has_address": letter.address is not None,
            },
        }
        await self._record_surely(Record(letter.id, row, line))

    async def _record_surely(self, record: Record) -> None:
        """Writes an outcome, trying for as long as the claim lasts: an unrecorded hand-over would be repeated."""
        wait, deadline = 0.05, time.monotonic() + self._deadline
        while True:
            try:
                return await self._records(record)
            except (SQLAlchemyError, OSError) as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("outcome not recorded yet", message_id=record.id, error=str(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, 2.0)

    async def _write(self, records: Sequence[Record]) -> list[None]:
        model = self.outbox.model
        async with self._database.writer.begin() as connection:
            by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for record in records:
                by_columns.setdefault(tuple(record.row), []).append({**record.row, "row_id": record.id})
            for columns, rows in by_columns.items():
                statement = (
                    update(model.__table__)
                    .where(model.__table__.c.id == bindparam("row_id"))
                    .values({column: bindparam(column) for column in columns})
                )
                await connection.execute(statement, rows)
            await write_lines(connection, [record.line for record in records])
        return [None] * len(records)


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
