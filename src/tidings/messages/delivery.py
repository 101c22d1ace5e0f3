"""The one road out: claim → decide → compose → send → record.

Every message of every feature takes these five steps, in this order. Feature code is written for one
message; the database calls of concurrent messages are gathered: one statement claims many rows, one
records many outcomes. A message may be handed over twice only when a process dies between the provider's
answer and the record of it, and then under the same idempotency key.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping

from tidings.channels.base import Channel, Outgoing, Receipt
from tidings.clock import Clock
from tidings.db.database import Database, is_away
from tidings.engine.coalesce import Coalescer
from tidings.engine.jobs import GiveUpJob, PostponeJob, Run
from tidings.engine.policy import QueuePolicy
from tidings.errors import SendError, TemplateError
from tidings.log import get_logger
from tidings.messages.claims import Claim, NotYet, Settled, Taken, claim
from tidings.messages.ledger import Outcome
from tidings.messages.outbox import Content, Letter, Outbox
from tidings.messages.policy import Defer, Refuse, Send, Skip, decide
from tidings.messages.records import Attempt, Ending, Recorder
from tidings.messages.statuses import Status

log = get_logger(__name__)

MAX_CRASHES = 10
"""Takings beyond a queue's attempts that may end without an outcome, before the message is given up."""

AWAY_PAUSE = 2.0
"""Seconds until a message is tried again that could not be claimed because the database is away."""


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
        self._channels = channels
        self._clock = clock
        self._deadline = deadline
        take = functools.partial(claim, database, outbox, clock, 2 * deadline)
        self._claims: Coalescer[int, Claim] = Coalescer(take, in_flight=database.batches)
        self._record = Recorder(outbox, database, channels, clock, patience=deadline).record

    async def deliver(self, message_id: int, run: Run) -> str:
        """Brings one message out and returns what became of it.

        Raises PostponeJob when it is not to go yet, GiveUpJob when it has failed for good, and SendError
        when the provider failed and another attempt is due.
        """
        try:
            claimed = await self._claims(message_id)
        except Exception as trouble:
            if not is_away(trouble):
                raise
            log.warning("message not claimed yet", message_id=message_id, error=str(trouble))
            raise PostponeJob(self._clock.after(AWAY_PAUSE)) from trouble
        if isinstance(claimed, Settled):
            return f"skipped: {claimed.status or 'no such message'}"
        if isinstance(claimed, NotYet):
            raise PostponeJob(claimed.until)
        letter = claimed.letter

        now = self._clock.now()
        match decide(letter, now):
            case Skip(reason):
                await self._record(letter, run, Ending(Outcome.SKIPPED, Status.SKIPPED, reason=reason))
                return f"skipped: {reason.sentence}"
            case Defer(until, reason):
                waiting = Ending(Outcome.DEFERRED, Status.SCHEDULED, reason=reason, held_until=until, counts=False)
                await self._record(letter, run, waiting)
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
            receipt = await self._send(claimed, content)
        except SendError as error:
            await self._record(letter, run, self._failure(run, error), Attempt(left, _since(started)))
            if error.retry_after is not None:
                raise PostponeJob(self._clock.after(error.retry_after)) from error
            if run.last or not error.retryable:
                raise GiveUpJob(str(error)) from error
            raise
        sent = Ending(Outcome.SENT, Status.SENT, columns=self.outbox.when_sent(letter, self._clock.now()))
        await self._record(letter, run, sent, Attempt(left, _since(started), receipt))
        return "sent"

    async def _send(self, claimed: Taken, content: Content) -> Receipt:
        letter = claimed.letter
        channel = self._channels.get(letter.channel)
        if channel is None:
            raise SendError(f"no provider is set up for channel {letter.channel!r}", retryable=False)
        if self._clock.seconds_until(claimed.until) < self._deadline:
            # It was not offered to the provider, so it costs no attempt.
            raise SendError("its claim would have ended while it was sent", retryable=True, retry_after=0.0)
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
        await self._record(letter, run, Ending(Outcome.FAILED, Status.FAILED, error=error))
        raise GiveUpJob(error)

    def _failure(self, run: Run, error: SendError) -> Ending:
        """What the provider's refusal means for the message: another attempt, a wait it asked for, or the end."""
        if error.retry_after is not None:
            until = self._clock.after(error.retry_after)
            return Ending(Outcome.RETRY, Status.SCHEDULED, error=str(error), held_until=until, counts=False)
        if run.last or not error.retryable:
            return Ending(Outcome.FAILED, Status.FAILED, error=str(error))
        until = self._clock.after(self._policy.backoff_after(run.attempt))
        return Ending(Outcome.RETRY, Status.SCHEDULED, error=str(error), held_until=until)


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
