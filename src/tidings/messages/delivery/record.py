"""Recording: outcomes wait in memory until the database has them, and what was handed over waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.db.failures import is_away, is_passing
from tidings.engine.coalesce import Gatherer
from tidings.engine.jobs import Run
from tidings.errors import QueueUnavailable, SendError
from tidings.log import get_logger
from tidings.messages.delivery.journal import Entry, Journal
from tidings.messages.delivery.outcome import Attempt, Record, Result, record_of
from tidings.messages.delivery.outcome_rows import OutcomeRows
from tidings.messages.delivery.providers import Providers
from tidings.messages.kind import Message, MessageKind
from tidings.messages.statuses import Reason, Status
from tidings.work import Work

log = get_logger(__name__)

RECORD_PATIENCE = 600.0
"""Seconds for which a decision waits for a database that is away or busy. What was handed over waits for ever."""

COMPANY = 0.02
"""Seconds that an outcome waits to be recorded with others, while there are others on their way."""

FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0
"""Seconds until an outcome that was not taken is written again; doubled each time."""

ADOPTION = 15.0
"""Seconds that a start waits for the outcomes of an earlier process to be written."""

REMINDER = 30.0
"""Seconds between two log lines about an outcome that is still not written."""

Recorded = Callable[[Exception | None], None]
"""Called when an outcome is written down, or with the error when it could not be and the message did not leave."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A record on its way. `since` is when it was to be written first, by `time.monotonic`, `wait` the seconds until
    it is tried again. `is_again`: it was tried before, and may be there although an error said that it is not."""

    record: Record
    recorded: Recorded
    since: float
    wait: float = FIRST_WAIT
    is_again: bool = False
    told: float | None = None


class Recorder:
    """Records the outcomes of one kind's messages.

    A decision that cannot be recorded for `patience` seconds, or for RECORD_PATIENCE while the trouble is a passing
    one, is an error: it is made again. What was handed over to a provider stays until it is recorded, whatever the
    error; from the first one on it is in the journal, and other processes are told to leave it alone.
    """

    def __init__(
        self, kind: MessageKind, work: Work, providers: Providers, journal: Journal, *, patience: float
    ) -> None:
        self._kind = kind
        self._work = work
        self._providers = providers
        self._journal = journal
        self._clock = work.clock
        self._patience = patience
        self._rows = OutcomeRows(kind, work.database, work.clock)
        self._pending: set[_Pending] = set()
        self._held: dict[int, _Pending] = {}
        self._unkept: list[_Pending] = []
        self._keeping: asyncio.Task[None] | None = None
        self._records: Gatherer[_Pending] = Gatherer(
            self._write, failed=self._not_written, alike=is_away, in_flight=work.database.batches
        )

    async def prepare(self, connection: AsyncConnection) -> None:
        """Has the statement made and planned on this connection that writes down what was sent."""
        await self._rows.prepare(connection)

    def holds(self, message_id: int) -> bool:
        """Whether this message was handed over, and its row does not know it yet: nobody may take it."""
        return message_id in self._held

    def record(self, message: Message, run: Run, result: Result, attempt: Attempt | None, recorded: Recorded) -> None:
        """Writes one outcome down, and then calls `recorded`."""
        provider = self._providers.of(message) if attempt else None
        record = record_of(
            self._kind.name,
            message,
            result,
            attempt,
            provider=provider.name if provider else None,
            request_id=run.request_id,
            lateness_ms=self._lateness(message, attempt.left) if attempt else None,
            now=self._clock.now(),
        )
        pending = self._hold(record, recorded)
        self._records.add([pending], COMPANY if run.slots.busy else 0.0, enough=run.slots.limit)

    async def adopt(self, entries: Sequence[Entry]) -> None:
        """Writes down what a process that has ended could not. Returns when all of it is in the database, or after
        ADOPTION seconds."""
        unwritten = len(entries)
        done = asyncio.Event()

        def recorded(_: Exception | None) -> None:
            nonlocal unwritten
            unwritten -= 1
            if not unwritten:
                done.set()

        for entry in entries:
            record = await self._read(entry)
            if record is None:
                recorded(None)
                continue
            pending = self._hold(record, recorded)
            pending.is_again = True
            self._records.add([pending])
        with suppress(TimeoutError):
            if entries:
                await asyncio.wait_for(done.wait(), ADOPTION)

    def keep(self) -> None:
        """Puts into the journal what was handed over and is not recorded yet."""
        self._journal.keep({self._key(one): _entry(self._kind.name, one.record) for one in self._held.values()})

    def close(self) -> None:
        """The same as this process ends: nothing is tried any more."""
        self.keep()
        self._pending.clear()
        self._held.clear()

    def _hold(self, record: Record, recorded: Recorded) -> _Pending:
        pending = _Pending(record, recorded, time.monotonic())
        self._pending.add(pending)
        if record.handed_over:
            self._held[record.message.id] = pending
        return pending

    async def _write(self, all_pending: Sequence[_Pending]) -> None:
        again = {one.record.message.id for one in all_pending if one.is_again}
        patiently = all(time.monotonic() - one.since < self._patience for one in all_pending)
        jobs = await self._rows.write([one.record for one in all_pending], again, patiently=patiently)
        outcomes = Counter(str(one.record.line["outcome"]) for one in all_pending)
        log.info("messages recorded", kind=self._kind.name, of_many=True, **outcomes)
        try:
            await self._work.release(jobs)
        except Exception:  # what is recorded must not be recorded again for it
            log.exception("jobs not released; recovery will add them", jobs=len(jobs))
        for pending in all_pending:
            self._end(pending, None)

    def _not_written(self, pending: _Pending, error: Exception) -> None:
        if pending not in self._pending:  # this process ends
            return
        waited = time.monotonic() - pending.since
        pending.is_again = True
        if pending.record.handed_over:
            self._keep_soon(pending)
            if waited > self._patience and not is_passing(error):
                pending.record = pending.record.bare()
        elif waited > (RECORD_PATIENCE if is_passing(error) else self._patience):
            self._end(pending, error)
            return
        if pending.told is None or waited - pending.told > REMINDER:
            pending.told = waited
            log.warning("outcome not recorded yet", message_id=pending.record.message.id, error=str(error))
        asyncio.get_running_loop().call_later(pending.wait, self._try_again, pending)
        pending.wait = min(pending.wait * 2, LONGEST_WAIT)

    def _try_again(self, pending: _Pending) -> None:
        if pending in self._pending:
            self._records.add([pending])

    def _end(self, pending: _Pending, error: Exception | None) -> None:
        self._pending.discard(pending)
        if self._held.get(pending.record.message.id) is pending:
            del self._held[pending.record.message.id]
            self._journal.settle(self._key(pending))
        pending.recorded(error)

    def _keep_soon(self, pending: _Pending) -> None:
        """With all the others that failed in the same moment: that is one wait for the disk."""
        if not self._unkept:
            self._keeping = asyncio.ensure_future(self._keep_unkept())
        self._unkept.append(pending)

    async def _keep_unkept(self) -> None:
        kept = [one for one in self._unkept if self._held.get(one.record.message.id) is one]
        self._unkept.clear()
        self._journal.keep({self._key(one): _entry(self._kind.name, one.record) for one in kept})
        with suppress(QueueUnavailable):
            await self._work.queues.handed_over.put([self._key(one) for one in kept])

    def _key(self, pending: _Pending) -> str:
        return self._kind.job_id(pending.record.message.id)

    def _lateness(self, message: Message, left: datetime) -> float:
        real = self._clock.seconds_until(left) - self._clock.seconds_until(message.scheduled_time)
        return round(real * 1000, 3)

    async def _read(self, entry: Entry) -> Record | None:
        """The record of an outcome in the journal; None when its message is no more.

        Where no message can be made of its row, what follows from its end is left out, and not the outcome.
        """
        query = self._kind.loaded.where(self._kind.model.id == entry["row"]["id"])
        async with self._work.database.reader.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        reason, refusal, line = entry["reason"], entry["refusal"], entry["line"]
        try:
            message = self._kind.message(dict(row))
        except Exception:
            log.exception("no message can be made of the row", message_id=entry["row"]["id"])
            message = Message(
                entry["row"]["id"], line["contact_id"], line["at"], line["attempt"], line["channel"], None, "", {}
            )
        return Record(
            message,
            Status(entry["status"]),
            Reason(reason) if reason else None,
            SendError(**refusal) if refusal else None,
            entry["row"],
            line,
            entry["usage"],
            handed_over=True,
        )


def _entry(kind: str, record: Record) -> Entry:
    """An outcome as the journal keeps it."""
    refusal = record.refusal
    return {
        "kind": kind,
        "status": record.status,
        "reason": record.reason,
        "refusal": {
            "message": str(refusal),
            "retryable": refusal.retryable,
            "retry_after": refusal.retry_after,
            "throttled": refusal.throttled,
            "unknown": refusal.unknown,
            "away": refusal.away,
            "of_account": refusal.of_account,
        }
        if refusal
        else None,
        "row": dict(record.row),
        "line": dict(record.line),
        "usage": dict(record.usage) if record.usage else None,
    }
