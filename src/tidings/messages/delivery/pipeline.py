"""The one way out: claim → decide → compose → send → record.

Every message of every kind takes these five steps, in this order. A kind's code is written for one
message; what the messages of a moment share is done for all of them: their jobs come and go together, one statement
claims many rows, one records many outcomes. A message may be handed over twice only when a process dies between the
provider's answer and the record of it, and then under the same idempotency key. When no answer comes, it is
handed over again only where the provider drops repetitions. While its provider is away it waits, which costs nothing.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from tidings.ai.base import Draft
from tidings.db.failures import is_away, is_passing
from tidings.engine.coalesce import Coalescer, Gatherer
from tidings.engine.jobs import BatchHandler, GiveUpJob, HeldJob, PostponeJob, Run, handle_alone
from tidings.errors import SendError, TemplateError
from tidings.log import get_logger, work_on
from tidings.messages.contacts.unsubscribing import UnsubscribeLinks
from tidings.messages.delivery.breaker import Breaker
from tidings.messages.delivery.claim import AlreadyEnded, Claimed, Claims, NotYet, Unreadable
from tidings.messages.delivery.journal import Entry, Journal
from tidings.messages.delivery.outcome import Attempt, Result
from tidings.messages.delivery.providers import Providers
from tidings.messages.delivery.record import Recorder
from tidings.messages.delivery.unreadable import fail_unreadable
from tidings.messages.gate.policy import Decision, Defer, Refuse, Send, Skip
from tidings.messages.gate.rules import Rules
from tidings.messages.kind import Content, Message, MessageJob, MessageKind
from tidings.messages.ledger import Outcome
from tidings.messages.statuses import Reason, Status
from tidings.providers.base import Outgoing, Provider, Receipt
from tidings.work import Work

log = get_logger(__name__)

MAX_CRASHES = 10
"""Takings beyond a job's attempts that may end without an outcome, before the message is given up."""

AWAY_PAUSE = 2.0
"""Seconds until a message is tried again that could not be claimed because the database is away."""

BUSY_PAUSE = 0.25
"""The same where something stood in the way in the database that will pass."""

CLAIM_PATIENCE = 0.01
"""Seconds that a claim waits for others to be made with it, while claimed messages wait for a slot anyway."""

CONNECTIONS = 2
"""Connections that are warm from the start: one claims while another one records. A new one costs 20 ms."""

WAIT = 300.0
"""Seconds that a message waits for a provider that is away before it looks for itself; it is woken when that is
back. Up to a fifth more, so that not all come at once."""

FRESH = 0.25
"""Seconds for which a decision of the gate holds. A message that waited longer for its slot and its text is decided
about again."""


class DeliveryPipeline:
    """The way out for the messages of one kind.

    `rules` are the gate's, `links` are put into promotional mails. `deadline` is how many real seconds a provider
    has for one message. A claim lasts twice as long and the time for composing besides, and sending starts only while
    the provider's whole time is left of it, so it is over before anybody else may take the row. With `hold_unknown` a
    message whose outcome nobody knows is held for a person, where its provider does not drop repetitions. A message
    that is of use for ever waits for a provider that is away for `away_patience` seconds.
    """

    def __init__(
        self,
        kind: MessageKind,
        work: Work,
        providers: Providers,
        rules: Rules,
        journal: Journal,
        links: UnsubscribeLinks,
        *,
        deadline: float,
        hold_unknown: bool = True,
        away_patience: float = 86_400.0,
    ) -> None:
        self.kind = kind
        self._hold_unknown = hold_unknown
        self._away_patience = timedelta(seconds=away_patience)
        self._providers = providers
        self._links = links
        self._clock = work.clock
        self._deadline = deadline
        self._database = work.database
        self._claims = Claims(work, kind, rules, 2 * deadline + kind.compose_seconds)
        self._claiming: Gatherer[HeldJob[MessageJob]] = Gatherer(
            self._claim, failed=self._not_claimed, alike=is_away, in_flight=work.database.batches
        )
        self._unreadable: Gatherer[tuple[HeldJob[MessageJob], Exception]] = Gatherer(
            self._fail_unreadable, failed=lambda one, error: one[0].end(error), limit=1
        )
        self._second_looks: Coalescer[Message, Decision] = Coalescer(self._claims.look_again)
        self._recorder = Recorder(kind, work, providers, journal, patience=deadline)

    async def warm_up(self) -> None:
        """Makes the first message no later than others; a database that is away is left for the messages to find."""
        try:
            await asyncio.gather(*(self._prepare() for _ in range(CONNECTIONS)))
        except Exception as trouble:
            if not is_passing(trouble):
                raise

    async def _prepare(self) -> None:
        async with self._database.road_at_once.begin() as connection:
            await self._claims.prepare(connection)
            await self._recorder.prepare(connection)

    def handlers(self) -> tuple[BatchHandler[Any], ...]:
        """What workers do with the jobs that wake this kind's messages."""
        return tuple(BatchHandler(job_type, self.handle) for job_type in self.kind.job_types())

    async def handle(self, jobs: Sequence[HeldJob[MessageJob]]) -> None:
        """Brings out the messages that the jobs name; a job ends with a word on what became of its message.

        It ends with PostponeJob when the message is not to go yet, with GiveUpJob when it has failed for good, and
        with SendError when the provider failed and another attempt is due: then, and how often, is the policy of the
        queue that the job is in. At most as many messages are composed and sent at once as `run.slots` has room for.
        """
        self._claiming.add(jobs, CLAIM_PATIENCE if any(job.run.slots.waiting for job in jobs[:1]) else 0.0)

    async def deliver(self, message_id: int, run: Run) -> str:
        """The same for one message: what became of it, or raises what its job is to end with."""
        return str(await handle_alone(self.handle, MessageJob(id=message_id), run))

    async def adopt(self, entries: Sequence[Entry]) -> None:
        """Records outcomes out of the journal of a process that has ended."""
        await self._recorder.adopt(entries)

    def keep(self) -> None:
        """What is not recorded yet is in the journal afterwards."""
        self._recorder.keep()

    def close(self) -> None:
        """This process ends: what is not recorded yet is left in the journal."""
        self._recorder.close()

    async def _claim(self, jobs: Sequence[HeldJob[MessageJob]]) -> None:
        jobs = [job for job in jobs if not self._waits_for_record(job)]
        if not jobs:
            return
        claims = await self._claims.claim([job.data.id for job in jobs])
        decided = time.perf_counter()
        for job, claimed in zip(jobs, claims, strict=True):
            if isinstance(claimed, AlreadyEnded):
                job.end(f"skipped: {claimed.status or 'no such message'}")
            elif isinstance(claimed, NotYet):
                job.end(PostponeJob(claimed.until))
            elif isinstance(claimed, Unreadable):
                self._not_claimed(job, claimed.error)
            elif isinstance(claimed.decision, Send):
                job.run.slots.add(functools.partial(self._send_one, job, claimed, decided))
            else:
                ending = _held_back(claimed.decision)
                ended = functools.partial(_end, job, ending)
                self._recorder.record(claimed.message, job.run, ending.result, None, ended)

    def _waits_for_record(self, job: HeldJob[MessageJob]) -> bool:
        """Whether the message has left, and only its row does not know; then its job waits."""
        waits = self._recorder.holds(job.data.id)
        if waits:
            job.end(PostponeJob(self._clock.after(AWAY_PAUSE)))
        return waits

    def _not_claimed(self, job: HeldJob[MessageJob], trouble: Exception) -> None:
        if is_passing(trouble):
            log.warning("message not claimed yet", message_id=job.data.id, error=str(trouble))
            job.end(PostponeJob(self._clock.after(AWAY_PAUSE if is_away(trouble) else BUSY_PAUSE)))
        elif job.run.last and not isinstance(trouble, SQLAlchemyError):
            self._unreadable.add([(job, trouble)])
        else:
            job.end(trouble)

    async def _fail_unreadable(self, found: Sequence[tuple[HeldJob[MessageJob], Exception]]) -> None:
        """Messages cannot be made of these rows; each has failed, or recovery would bring it back for ever."""
        for job, trouble in found:
            sentence = f"its row cannot be read: {trouble or type(trouble).__name__}"
            await fail_unreadable(self._database, self.kind, job.data.id, job.run, sentence, self._clock.now())
            job.end(GiveUpJob(sentence))

    async def _send_one(self, job: HeldJob[MessageJob], claimed: Claimed, decided: float) -> None:
        """What is done in a slot: the message leaves; its outcome is written down while the next one has the slot."""
        run = job.run
        work_on(run.queue.name, run.job_id, run.attempt, run.request_id)
        try:
            ending = await self._bring_out(claimed, run, decided)
            ended = functools.partial(_end, job, ending, settle=True)
            self._recorder.record(claimed.message, run, ending.result, ending.attempt, ended)
        except Exception as error:
            run.slots.settle()
            job.end(error)

    async def _bring_out(self, claimed: Claimed, run: Run, decided: float) -> _Ending:
        """Composes and sends one message that the gate let out, at that moment of `time.perf_counter`."""
        message, decision = claimed.message, claimed.decision
        assert isinstance(decision, Send)
        if message.attempt > run.attempts + MAX_CRASHES:
            return _given_up(f"{message.attempt - 1} attempts ended without an outcome")
        provider = self._providers.of(message)
        if provider is None:
            name = message.provider or message.channel
            return _given_up(f"no provider is set up for channel {name!r}", decision.inputs)
        if waiting := self._wait_for_provider(provider, message, run, decision):
            return waiting
        try:
            return await self._hand_over(provider, claimed, run, decision, decided)
        finally:
            self._providers.withdrawn(provider, message)

    async def _hand_over(
        self, provider: Provider, claimed: Claimed, run: Run, decision: Send, decided: float
    ) -> _Ending:
        message = claimed.message
        try:
            content = await self.kind.compose(message)
        except TemplateError as error:
            return _given_up(str(error))
        if time.perf_counter() - decided > FRESH:
            looked = await self._second_looks(message)
            if not isinstance(looked, Send):
                return _held_back(looked, content.draft)
            decision = looked

        started, left, began = time.perf_counter(), self._clock.now(), self._providers.monotonic()
        try:
            receipt = await self._send(provider, claimed, run, content)
        except SendError as error:
            attempt, again = Attempt(left, _since(started)), provider.drops_repetitions
            if error.away and not error.throttled and (again or not error.unknown):
                breaker = self._providers.away(provider, message, error, began)
                return self._put_off(breaker, message, decision, content.draft, error, attempt)
            if error.unknown:
                self._providers.silent(provider, message)
                error.unknown = self._hold_unknown and not again
            elif error.throttled or (error.retryable and error.retry_after is None):
                self._providers.answered(provider, message)  # the other ones may not have reached it
            return self._refused(message, run, error, decision, content, attempt)
        self._providers.answered(provider, message)
        outcome, status = (Outcome.SIMULATED, Status.SIMULATED) if receipt.simulated else (Outcome.SENT, Status.SENT)
        sent = Result(
            outcome,
            status,
            columns=self.kind.columns_when_sent(message, content, self._clock.now()),
            inputs=decision.inputs,
            draft=content.draft,
        )
        return _Ending(sent, status.value, Attempt(left, _since(started), receipt))

    def _wait_for_provider(self, provider: Provider, message: Message, run: Run, decision: Send) -> _Ending | None:
        """A provider that is away is left alone, and one that asked for fewer messages gets them one by one; each
        keeps the place it is given."""
        if breaker := self._providers.held_by(provider, message):
            return self._put_off(breaker, message, decision)
        wait = self._providers.pace(provider, message.account).wait(message.idempotency_key, run.priority)
        if wait <= 0:
            return None
        self._providers.withdrawn(provider, message)
        return _held_back(Defer(self._clock.after(wait), Reason.PROVIDER_BUSY, decision.inputs))

    def _put_off(
        self,
        breaker: Breaker,
        message: Message,
        decision: Send,
        draft: Draft | None = None,
        error: SendError | None = None,
        attempt: Attempt | None = None,
    ) -> _Ending:
        """The message waits until its provider is back, or until it is of no use any more. It is told once."""
        now, sentence = self._clock.now(), breaker.sentence or str(error)
        if breaker.is_open:
            until = self._clock.after(WAIT * (1 + random.random() / 5))
        else:  # only this message was not handed over, or it was tried before the provider came back
            until = self._clock.after(breaker.pause_of(message.idempotency_key))
        if message.not_after is not None:
            until = min(until, max(message.not_after, now) + timedelta(milliseconds=1))
        elif now - max(message.scheduled_time, breaker.since or message.scheduled_time) > self._away_patience:
            hours = f"{self._away_patience.total_seconds() / 3600:g} hours"
            return _given_up(f"{sentence}; it has waited for {hours} (TIDINGS_AWAY_PATIENCE)")
        result = Result(
            Outcome.DEFERRED,
            Status.SCHEDULED,
            reason=Reason.PROVIDER_AWAY,
            error=sentence,
            held_until=until,
            counts=False,
            inputs=decision.inputs,
            draft=draft,
            refusal=error,
            told=not breaker.waits(message.idempotency_key) and breaker.is_open,
        )
        return _Ending(result, PostponeJob(until, unused=True), attempt)

    async def _send(self, provider: Provider, claimed: Claimed, run: Run, content: Content) -> Receipt:
        message = claimed.message
        patience = self._clock.seconds_until(claimed.until) - self._deadline
        if patience < 0:
            # It was not offered to the provider, so it costs no attempt.
            raise SendError("its claim would have ended while it was sent", retryable=True, retry_after=0.0)
        assert message.address is not None  # the gate refuses messages without one
        pace = self._providers.pace(provider, message.account)
        try:
            receipt = await provider.send(
                Outgoing(
                    to=message.address,
                    text=content.text,
                    subject=content.subject,
                    idempotency_key=message.idempotency_key,
                    metadata=content.metadata,
                    account=message.account,
                    patience=patience,
                    unsubscribe=self._links.link_for(message),
                    name=self.kind.job_id(message.id),
                )
            )
        except SendError as error:
            if not error.throttled:
                raise
            pace.throttled(error.retry_after)
            wait = max(pace.wait(message.idempotency_key, run.priority), error.retry_after or 0.0)
            raise SendError(str(error), retryable=True, retry_after=wait, throttled=True) from error
        pace.taken()
        return receipt

    def _refused(
        self, message: Message, run: Run, error: SendError, decision: Send, content: Content, attempt: Attempt
    ) -> _Ending:
        """What the provider's refusal means for the message: another attempt, a wait it asked for, or the end."""
        result = functools.partial(
            Result, error=str(error), inputs=decision.inputs, draft=content.draft, refusal=error
        )
        if error.unknown:  # it counts as one that left, until somebody knows better
            log.warning("a message may have left, and is held", message_id=message.id, error=str(error))
            columns = self.kind.columns_when_sent(message, content, self._clock.now())
            return _Ending(result(Outcome.UNKNOWN, Status.UNKNOWN, columns=columns), Status.UNKNOWN.value, attempt)
        if error.retry_after is not None:
            until = self._clock.after(error.retry_after)
            waiting = result(Outcome.RETRY, Status.SCHEDULED, held_until=until, counts=False)
            return _Ending(waiting, PostponeJob(until), attempt)
        if run.last or not error.retryable:
            return _Ending(result(Outcome.FAILED, Status.FAILED), GiveUpJob(str(error)), attempt)
        until = self._clock.after(run.queue.backoff_after(run.attempt))
        return _Ending(result(Outcome.RETRY, Status.SCHEDULED, held_until=until), error, attempt)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a taking of a message ended: what is recorded, and what its job answers or fails with afterwards."""

    result: Result
    answer: str | Exception
    attempt: Attempt | None = None


def _end(job: HeldJob[Any], ending: _Ending, error: Exception | None, *, settle: bool = False) -> None:
    """The outcome is written down, or could not be."""
    if settle:
        job.run.slots.settle()
    job.end(error or ending.answer)


def _held_back(decision: Defer | Skip | Refuse, draft: Draft | None = None) -> _Ending:
    """The gate did not let the message out, or not yet."""
    match decision:
        case Skip(reason, inputs):
            skipped = Result(Outcome.SKIPPED, Status.SKIPPED, reason=reason, inputs=inputs, draft=draft)
            return _Ending(skipped, f"skipped: {reason.sentence}")
        case Defer(until, reason, inputs):
            deferred = Result(
                Outcome.DEFERRED,
                Status.SCHEDULED,
                reason=reason,
                held_until=until,
                counts=False,
                inputs=inputs,
                draft=draft,
            )
            return _Ending(deferred, PostponeJob(until))
        case Refuse(error, inputs):
            return _given_up(error, inputs)


def _given_up(error: str, inputs: Mapping[str, object] | None = None) -> _Ending:
    return _Ending(Result(Outcome.FAILED, Status.FAILED, error=error, inputs=inputs or {}), GiveUpJob(error))


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
