"""The one road out: claim → decide → compose → send → record.

Every message of every feature takes these five steps, in this order. Feature code is written for one
message; the database calls of concurrent messages are gathered: one statement claims many rows, one
records many outcomes. A message may be handed over twice only when a process dies between the provider's
answer and the record of it, and then under the same idempotency key.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping

from tidings.db.database import is_away
from tidings.engine.coalesce import Coalescer
from tidings.engine.jobs import GiveUpJob, PostponeJob, Run
from tidings.errors import SendError, TemplateError
from tidings.log import get_logger
from tidings.messages.delivery.claim import Claim, NotYet, Settled, Taken, claim, look_again
from tidings.messages.delivery.pacing import Pace
from tidings.messages.delivery.record import Attempt, Ending, Recorder
from tidings.messages.gate.policy import Decision, Defer, Refuse, Rules, Send, Skip
from tidings.messages.kind import Content, Letter, Outbox
from tidings.messages.ledger import Outcome
from tidings.messages.statuses import Reason, Status
from tidings.providers.base import Channel, Outgoing, Receipt
from tidings.work import Work

log = get_logger(__name__)

MAX_CRASHES = 10
"""Takings beyond a queue's attempts that may end without an outcome, before the message is given up."""

AWAY_PAUSE = 2.0
"""Seconds until a message is tried again that could not be claimed because the database is away."""

FRESH = 0.25
"""Seconds for which a decision of the gate holds. A text that took longer to write is decided about again."""


class Ways:
    """The providers of one process: the channel of each name, and the pace that each provider allows.

    `now` counts the seconds that a provider's pauses last, by default real ones.
    """

    def __init__(self, channels: Mapping[str, Channel], now: Callable[[], float] = time.monotonic) -> None:
        self.channels = channels
        self._now = now
        self._paces: dict[Channel, Pace] = {}

    def through(self, channels: Mapping[str, Channel]) -> Ways:
        """Other channels, at the pace of the same providers."""
        ways = Ways(channels, self._now)
        ways._paces = self._paces
        return ways

    def pace(self, channel: Channel) -> Pace:
        """How fast a provider may be given messages; every channel that it serves shares it."""
        return self._paces.setdefault(channel, Pace(self._now))


class Road:
    """The road out for the messages of one outbox.

    `rules` are the gate's. `deadline` is how many real seconds a provider has for one message. A claim lasts
    twice as long and the time for composing besides, and sending starts only while the provider's whole time
    is left of it, so it is over before anybody else may take the row.
    """

    def __init__(self, outbox: Outbox, work: Work, ways: Ways, rules: Rules, *, deadline: float) -> None:
        self.outbox = outbox
        self._ways = ways
        self._clock = work.clock
        self._deadline = deadline
        lease = 2 * deadline + outbox.compose_seconds
        take = functools.partial(claim, work.database, outbox, rules, work.clock, lease)
        look = functools.partial(look_again, work.database, outbox, rules, work.clock)
        self._claims: Coalescer[int, Claim] = Coalescer(take, in_flight=work.database.batches)
        self._second_looks: Coalescer[Letter, Decision] = Coalescer(look)
        self._record = Recorder(outbox, work, ways.channels, patience=deadline).record

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
        letter, decision = claimed.letter, claimed.decision

        if not isinstance(decision, Send):
            return await self._hold_back(letter, run, decision)
        if letter.attempt > self.outbox.queue.attempts + MAX_CRASHES:
            return await self._give_up(letter, run, f"{letter.attempt - 1} attempts ended without an outcome")
        if waiting := self._wait_for_provider(letter, decision):
            return await self._hold_back(letter, run, waiting)

        started = time.perf_counter()
        try:
            content = await self.outbox.compose(letter)
        except TemplateError as error:
            return await self._give_up(letter, run, str(error))
        if time.perf_counter() - started > FRESH:
            decision = await self._second_looks(letter)
            if not isinstance(decision, Send):
                return await self._hold_back(letter, run, decision, content)

        started, left = time.perf_counter(), self._clock.now()
        try:
            receipt = await self._send(claimed, content)
        except SendError as error:
            ending = self._failure(letter, run, error, decision, content)
            await self._record(letter, run, ending, Attempt(left, _since(started)))
            if error.retry_after is not None:
                raise PostponeJob(self._clock.after(error.retry_after)) from error
            if run.last or not error.retryable:
                raise GiveUpJob(str(error)) from error
            raise
        sent = Ending(
            Outcome.SENT,
            Status.SENT,
            columns=self.outbox.when_sent(letter, content, self._clock.now()),
            inputs=decision.inputs,
            draft=content.draft,
        )
        await self._record(letter, run, sent, Attempt(left, _since(started), receipt))
        return "sent"

    async def _hold_back(
        self, letter: Letter, run: Run, decision: Defer | Skip | Refuse, content: Content | None = None
    ) -> str:
        """Records that the gate did not let the message out, or not yet."""
        draft = content.draft if content else None
        match decision:
            case Skip(reason, inputs):
                ending = Ending(Outcome.SKIPPED, Status.SKIPPED, reason=reason, inputs=inputs, draft=draft)
                await self._record(letter, run, ending)
                return f"skipped: {reason.sentence}"
            case Defer(until, reason, inputs):
                ending = Ending(
                    Outcome.DEFERRED,
                    Status.SCHEDULED,
                    reason=reason,
                    held_until=until,
                    counts=False,
                    inputs=inputs,
                    draft=draft,
                )
                await self._record(letter, run, ending)
                raise PostponeJob(until)
            case Refuse(error, inputs):
                return await self._give_up(letter, run, error, inputs)

    def _wait_for_provider(self, letter: Letter, decision: Send) -> Defer | None:
        """A provider that asked for fewer messages gets them one by one; each keeps the place it is given."""
        channel = self._ways.channels.get(letter.way)
        if channel is None:
            return None
        wait = self._ways.pace(channel).wait(letter.idempotency_key)
        return Defer(self._clock.after(wait), Reason.PROVIDER_BUSY, decision.inputs) if wait > 0 else None

    async def _send(self, claimed: Taken, content: Content) -> Receipt:
        letter = claimed.letter
        channel = self._ways.channels.get(letter.way)
        if channel is None:
            raise SendError(f"no provider is set up for channel {letter.way!r}", retryable=False)
        if self._clock.seconds_until(claimed.until) < self._deadline:
            # It was not offered to the provider, so it costs no attempt.
            raise SendError("its claim would have ended while it was sent", retryable=True, retry_after=0.0)
        assert letter.address is not None  # the gate refuses letters without one
        pace = self._ways.pace(channel)
        try:
            receipt = await channel.send(
                Outgoing(
                    to=letter.address,
                    text=content.text,
                    subject=content.subject,
                    idempotency_key=letter.idempotency_key,
                    metadata=content.metadata,
                )
            )
        except SendError as error:
            if not error.throttled:
                raise
            pace.throttled(error.retry_after)
            wait = max(pace.wait(letter.idempotency_key), error.retry_after or 0.0)
            raise SendError(str(error), retryable=True, retry_after=wait, throttled=True) from error
        pace.taken()
        return receipt

    async def _give_up(self, letter: Letter, run: Run, error: str, inputs: Mapping[str, object] | None = None) -> str:
        await self._record(letter, run, Ending(Outcome.FAILED, Status.FAILED, error=error, inputs=inputs or {}))
        raise GiveUpJob(error)

    def _failure(self, letter: Letter, run: Run, error: SendError, decision: Send, content: Content) -> Ending:
        """What the provider's refusal means for the message: another attempt, a wait it asked for, or the end."""
        ending = functools.partial(Ending, error=str(error), inputs=decision.inputs, draft=content.draft)
        if error.retry_after is not None:
            until = self._clock.after(error.retry_after)
            return ending(Outcome.RETRY, Status.SCHEDULED, held_until=until, counts=False)
        if run.last or not error.retryable:
            return ending(Outcome.FAILED, Status.FAILED)
        until = self._clock.after(self.outbox.queue.backoff_after(run.attempt))
        return ending(Outcome.RETRY, Status.SCHEDULED, held_until=until)


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
