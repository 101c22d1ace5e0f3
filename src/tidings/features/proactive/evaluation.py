"""Evaluates the triggers: looks at every contact, picks what may become a message, and has it written.

Nothing is written (by an AI, for money) about what has become a message before, and no text is written inside
a transaction. That a suggestion becomes one message is held by the database: two evaluations at once make one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.feature import Activities
from tidings.features.proactive.contact_states import pages
from tidings.features.proactive.creation import Created, Match, MessageCreator
from tidings.features.proactive.discovery import Trigger
from tidings.features.proactive.models import ProactiveMessage
from tidings.features.proactive.safeguards import STALE_AFTER
from tidings.features.proactive.states import ContactState, Suggestion
from tidings.log import get_logger
from tidings.work import Work

log = get_logger(__name__)

WRITERS_AT_ONCE = 5
"""How many texts are being written at a time."""


@dataclass(slots=True)
class EvaluationResult:
    """What one evaluation did.

    `contacts` may have been written to, `candidates` of them had a new suggestion, `created` got a message, of
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
    """How triggers are evaluated. `timezone` is for contacts whose own nothing tells."""

    work: Work
    creator: MessageCreator
    triggers: Sequence[Trigger]
    activities: Sequence[Activities]
    timezone: str

    async def run(self) -> EvaluationResult:
        """One evaluation of every trigger for every contact."""
        result = EvaluationResult()
        found = await self._find(result)
        found.sort(key=lambda one: (one.suggestion.urgency, one.state.contractor_id))
        result.candidates = len(found)
        places = asyncio.Semaphore(WRITERS_AT_ONCE)

        async def create(match: Match) -> Created:
            async with places:
                return await self.creator.create(match)

        most = self.creator.safeguards.per_evaluation
        for created in await asyncio.gather(*(create(one) for one in found[:most])):
            result.created += created in (Created.READY, Created.AWAITING_APPROVAL)
            result.awaiting_approval += created is Created.AWAITING_APPROVAL
            result.duplicates += created is Created.DUPLICATE
            result.failed += created is Created.FAILED
        return result

    async def _find(self, result: EvaluationResult) -> list[Match]:
        """The most urgent new suggestion for every contact that has one."""
        now, pause, found = self.work.clock.now(), self.creator.safeguards.pause, list[Match]()
        async with self.work.read() as session:
            async for states in pages(session, now, pause, self.activities, self.timezone):
                result.contacts += len(states)
                matches = {state.contractor_id: list(self._matches(state, now)) for state in states}
                known = await _known(session, [contact for contact, some in matches.items() if some])
                for state in states:
                    new = [one for one in matches[state.contractor_id] if one.identity not in known]
                    if new:
                        found.append(min(new, key=lambda one: (one.suggestion.urgency, one.key)))
        return found

    def _matches(self, state: ContactState, now: datetime) -> Iterator[Match]:
        """What the triggers suggest for a contact; one that fails does not keep the others from theirs."""
        for trigger in self.triggers:
            try:
                suggestions: Collection[Suggestion] = list(trigger.evaluate(state, now))
            except Exception:
                log.exception("trigger failed", message_type=trigger.message_type, contractor_id=state.contractor_id)
                continue
            for suggestion in suggestions:
                useful_until = suggestion.useful_until or now + STALE_AFTER
                if useful_until > now:
                    yield Match(state, trigger.message_type, suggestion, useful_until)


async def _known(session: AsyncSession, contacts: Sequence[int]) -> set[tuple[int, str]]:
    """The suggestions for contacts that have become messages already."""
    if not contacts:
        return set()
    rows = await session.execute(
        select(ProactiveMessage.contractor_id, ProactiveMessage.deduplication_key).where(
            ProactiveMessage.contractor_id.in_(contacts)
        )
    )
    return {(contractor_id, key) for contractor_id, key in rows}
