"""Evaluates the triggers: looks at every contact, picks the impulses that may become messages, has them written.

Nothing is written (by an AI, for money) about what has become a message before, and no text is written inside
a transaction. That an impulse becomes one message is held by the database: two evaluations at once make one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.feature import Moments
from tidings.features.proactive.contact_states import pages
from tidings.features.proactive.discovery import Trigger
from tidings.features.proactive.drafts import Candidate, Made, Maker
from tidings.features.proactive.models import ProactiveMessage
from tidings.features.proactive.safeguards import STALE_AFTER, Safeguards
from tidings.features.proactive.states import ContactState, Impulse
from tidings.log import get_logger
from tidings.work import Work

log = get_logger(__name__)

WRITERS_AT_ONCE = 5
"""How many texts are being written at a time."""


@dataclass(slots=True)
class EvaluationResult:
    """What one evaluation did.

    `contacts` may have been written to, `candidates` of them had a new impulse, `created` got a message, of
    which `awaiting_approval` wait for a person. `duplicates` somebody else made meanwhile; `failed` could not
    be written or stored, and the next evaluation tries them again. `not_approved` and `stale` are waiting
    messages that ended, `silent` sent ones that cost trust.
    """

    contacts: int = 0
    candidates: int = 0
    created: int = 0
    awaiting_approval: int = 0
    duplicates: int = 0
    failed: int = 0
    not_approved: int = 0
    stale: int = 0
    silent: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """How triggers are evaluated. `timezone` is for contacts whose own is not known."""

    work: Work
    maker: Maker
    triggers: Sequence[Trigger]
    moments: Sequence[Moments]
    timezone: str
    safeguards: Safeguards

    async def run(self) -> EvaluationResult:
        """One evaluation of every trigger for every contact."""
        result = EvaluationResult()
        found = await self._find(result)
        found.sort(key=lambda one: (one.impulse.urgency, one.state.contractor_id))
        result.candidates = len(found)
        places = asyncio.Semaphore(WRITERS_AT_ONCE)

        async def make(candidate: Candidate) -> Made:
            async with places:
                return await self.maker.make(candidate)

        for made in await asyncio.gather(*(make(one) for one in found[: self.safeguards.per_evaluation])):
            result.created += made in (Made.READY, Made.AWAITING_APPROVAL)
            result.awaiting_approval += made is Made.AWAITING_APPROVAL
            result.duplicates += made is Made.DUPLICATE
            result.failed += made is Made.FAILED
        return result

    async def _find(self, result: EvaluationResult) -> list[Candidate]:
        """The most urgent new impulse of every contact that has one."""
        now, found = self.work.clock.now(), list[Candidate]()
        async with self.work.read() as session:
            async for states in pages(session, now, self.safeguards.pause, self.moments, self.timezone):
                result.contacts += len(states)
                felt = {state.contractor_id: list(self._feel(state, now)) for state in states}
                known = await _known(session, [contact for contact, impulses in felt.items() if impulses])
                for state in states:
                    fresh = [one for one in felt[state.contractor_id] if one.identity not in known]
                    if fresh:
                        found.append(min(fresh, key=lambda one: (one.impulse.urgency, one.key)))
        return found

    def _feel(self, state: ContactState, now: datetime) -> Iterator[Candidate]:
        """A contact's impulses; a trigger that stumbles over one contact does not keep the others from theirs."""
        for trigger in self.triggers:
            try:
                impulses: Collection[Impulse] = list(trigger.evaluate(state, now))
            except Exception:
                log.exception("trigger failed", message_type=trigger.message_type, contractor_id=state.contractor_id)
                continue
            for impulse in impulses:
                useful_until = impulse.useful_until or now + STALE_AFTER
                if useful_until > now:
                    yield Candidate(state, trigger.message_type, impulse, useful_until)


async def _known(session: AsyncSession, contacts: Sequence[int]) -> set[tuple[int, str]]:
    """The impulses of contacts that have become messages."""
    if not contacts:
        return set()
    rows = await session.execute(
        select(ProactiveMessage.contractor_id, ProactiveMessage.deduplication_key).where(
            ProactiveMessage.contractor_id.in_(contacts)
        )
    )
    return {(contractor_id, key) for contractor_id, key in rows}
