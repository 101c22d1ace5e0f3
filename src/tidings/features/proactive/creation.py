"""Has one suggestion written, and stores the message that it becomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tidings.ai.base import Brief, Draft, Writer
from tidings.features.proactive.changes import release
from tidings.features.proactive.contact_states import is_held_back
from tidings.features.proactive.jobs import PROACTIVE_MESSAGE
from tidings.features.proactive.models import Approval, ProactiveMessage
from tidings.features.proactive.safeguards import Safeguards
from tidings.features.proactive.states import ContactState, Suggestion
from tidings.log import get_logger
from tidings.messages.gate.trust import trust_of
from tidings.messages.statuses import Reason, Status
from tidings.messages.text.marks import without_marks
from tidings.messages.text.segments import too_long_for_sms
from tidings.messages.text.templates import render
from tidings.messages.usage import usage_row, write_usage
from tidings.work import Work

log = get_logger(__name__)


class Created(Enum):
    """What became of a match."""

    READY = "ready"
    AWAITING_APPROVAL = "awaiting approval"
    DUPLICATE = "duplicate"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Match:
    """A contact for whom a trigger has a suggestion, before it becomes a message."""

    state: ContactState
    message_type: str
    suggestion: Suggestion
    useful_until: datetime

    @property
    def key(self) -> str:
        return f"{self.message_type}:{self.suggestion.key}"

    @property
    def identity(self) -> tuple[int, str]:
        return self.state.contractor_id, self.key


@dataclass(frozen=True)
class MessageCreator:
    """Makes messages of matches. `max_segments` is how many SMS one may take (3GPP TS 23.040).

    With `deliver_now` what needs no approval is scheduled in the transaction that stores it.
    """

    work: Work
    writer: Writer
    safeguards: Safeguards
    deliver_now: bool
    max_segments: int

    async def create(self, match: Match) -> Created:
        """Writes and stores one message. A failure is logged; it does not keep other messages from being made."""
        try:
            draft = await self.writer.write(self._brief(match))
            try:
                return await self._store(match, draft)
            except IntegrityError:
                await self._note_cost(draft)
                return Created.DUPLICATE
        except Exception:
            log.exception(
                "proactive message not made; the next evaluation tries again",
                contractor_id=match.state.contractor_id,
                message_type=match.message_type,
            )
            return Created.FAILED

    def _brief(self, match: Match) -> Brief:
        state, suggestion = match.state, match.suggestion
        person = {"first_name": state.first_name, "name": state.name, "company_name": state.company_name}
        return Brief(
            task="proactive",
            template=render(suggestion.template, {**person, **suggestion.facts}),
            facts={**{name: value for name, value in person.items() if value}, **suggestion.facts},
            too_long=self._too_long_for_sms if state.channel == "sms" else lambda text: None,
            shown=without_marks,
        )

    def _too_long_for_sms(self, text: str) -> str | None:
        return too_long_for_sms(text, self.max_segments)

    async def _store(self, match: Match, draft: Draft) -> Created:
        """Stores the message, ready or waiting for approval.

        Raises IntegrityError when the suggestion has become a message, or the contact got another one, meanwhile.
        """
        state, suggestion, now = match.state, match.suggestion, self.work.clock.now()
        async with self.work.begin() as unit:
            session = unit.session
            if await session.scalar(select(is_held_back(state.contractor_id, now, self.safeguards.pause))):
                await write_usage(session, [usage_row(now, PROACTIVE_MESSAGE, None, draft)])
                return Created.DUPLICATE
            trust = (await trust_of(session, [state.contractor_id]))[state.contractor_id]
            needs_approval = trust < self.safeguards.approval_below
            row = ProactiveMessage(
                contractor_id=state.contractor_id,
                message_type=match.message_type,
                message_content=draft.text,
                ai_reasoning=suggestion.reasoning,
                context_data=_context(match, draft, trust),
                deduplication_key=match.key,
                goal_id=suggestion.goal_id,
                channel=state.channel,
                subject=suggestion.subject,
                useful_until=match.useful_until,
                approval=Approval.PENDING if needs_approval else Approval.NOT_NEEDED,
                approval_until=now + self.safeguards.approval_timeout if needs_approval else None,
                scheduled_time=now,
                status=Status.WAITING,
                status_reason=Reason.TRIGGERED,
                created_at=now,
                updated_at=now,
            )
            session.add(row)
            await session.flush()
            await write_usage(session, [usage_row(now, PROACTIVE_MESSAGE, row.id, draft)])
            if self.deliver_now and not needs_approval:
                release(unit, [row], now)
        return Created.AWAITING_APPROVAL if needs_approval else Created.READY

    async def _note_cost(self, draft: Draft) -> None:
        """A text that came to nothing was paid for all the same."""
        async with self.work.begin() as unit:
            await write_usage(unit.session, [usage_row(self.work.clock.now(), PROACTIVE_MESSAGE, None, draft)])


def _context(match: Match, draft: Draft, trust: float) -> dict[str, Any]:
    """What the message was made from, and who wrote it."""
    return {
        "facts": dict(match.suggestion.facts),
        "trust": trust,
        "author": draft.author,
        "model": draft.model,
        "fallback": draft.fallback,
        "usage": asdict(draft.usage) if draft.usage else None,
    }
