"""The kind of proactive messages: what is loaded for a claimed row, and what an answer changes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.ai.base import Draft
from tidings.db.rows import count_changed, locked_ids
from tidings.features.proactive.jobs import PROACTIVE_MESSAGE, SEND_PROACTIVE_MESSAGE
from tidings.features.proactive.models import Approval, Goal, ProactiveMessage
from tidings.features.proactive.safeguards import SILENCE_AFTER, Safeguards
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.terms import ConsentNeed, IfBlocked, promotional
from tidings.messages.kind import Addressee, Content, Message, MessageKind, Reply
from tidings.messages.statuses import Reason
from tidings.work import Work

_MESSAGE = ProactiveMessage.__table__.c
_CONTRACTOR = Contractor.__table__.c
_GOAL = Goal.__table__.c

_LOADED = (
    select(
        *(
            _MESSAGE[name]
            for name in (
                "id",
                "contractor_id",
                "message_type",
                "message_content",
                "ai_reasoning",
                "context_data",
                "subject",
                "scheduled_time",
                "created_at",
                "attempts",
                "channel",
                "useful_until",
                "approval",
            )
        ),
        *(_CONTRACTOR[name] for name in ("name", "phone", "email", "timezone")),
        _GOAL.completed_at.label("goal_completed_at"),
        _GOAL.last_progress_at.label("goal_progress_at"),
    )
    .join(_CONTRACTOR.id.table, _CONTRACTOR.id == _MESSAGE.contractor_id)
    .outerjoin(_GOAL.id.table, _GOAL.id == _MESSAGE.goal_id)
)


def _overtaken(row: Mapping[str, Any]) -> Reason | None:
    """What happened to the message's goal since it was written, if that makes the text untrue."""
    if row["goal_completed_at"] is not None:
        return Reason.ACTION_ITEM_COMPLETED
    if row["goal_progress_at"] is not None and row["goal_progress_at"] > row["created_at"]:
        return Reason.OVERTAKEN
    return None


class ProactiveMessages(MessageKind):
    """Proactive messages. Texts are written before, never at sending."""

    name = PROACTIVE_MESSAGE
    model = ProactiveMessage
    job_type = SEND_PROACTIVE_MESSAGE
    loaded = _LOADED

    personal: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("contractor_response", "decision_note", "error_message", "goal_id")),
        **dict.fromkeys(("message_content", "ai_reasoning", "subject"), ""),
        "context_data": {},
    }

    @classmethod
    async def erase_person(cls, work: Work, whom: Addressee) -> Mapping[str, int]:
        """Their goals, with every step towards them."""
        async with work.begin() as unit:
            mine = locked_ids(Goal, Goal.contractor_id.in_(whom.ids))
            return {Goal.__tablename__: await count_changed(unit.session, delete(Goal).where(Goal.id.in_(mine)))}

    @classmethod
    def says(cls, row: Any) -> Hashable:
        """Whatever it is: a contact has one under way at a time."""
        return "proactive"

    def __init__(self, safeguards: Safeguards) -> None:
        self.floor = safeguards.floor

    def message(self, row: Mapping[str, Any]) -> Message:
        min_trust = None if row["approval"] == Approval.APPROVED else self.floor
        return Message(
            id=row["id"],
            contact_id=row["contractor_id"],
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel=row["channel"],
            address=row["email"] if row["channel"] == "email" else row["phone"],
            idempotency_key=self.idempotency_key(row["id"], row["created_at"]),
            row=row,
            terms=promotional(IfBlocked.DEFER, ConsentNeed.NOT_REVOKED, min_trust=min_trust),
            timezone=row["timezone"],
            not_after=row["useful_until"],
            obsolete=_overtaken(row),
        )

    async def compose(self, message: Message) -> Content:
        """The text as it was written and maybe approved, and the specification's payload beside it."""
        row = message.row
        author: Mapping[str, Any] = row["context_data"]
        return Content(
            text=row["message_content"],
            subject=row["subject"],
            metadata={
                "contractor_id": row["contractor_id"],
                "message_type": row["message_type"],
                "message_id": row["id"],
                "contractor_name": row["name"],
                "ai_reasoning": row["ai_reasoning"],
            },
            # What the text cost was noted when it was written.
            draft=Draft(row["message_content"], author["author"], author["model"], author["fallback"], usage=None),
        )

    def columns_when_sent(self, message: Message, content: Content, moment: datetime) -> dict[str, Any]:
        """The columns of a sent message."""
        return {"sent_at": moment, "silence_due": moment + SILENCE_AFTER}

    async def on_reply(self, session: AsyncSession, message_id: int, reply: Reply) -> str | None:
        """Keeps an answer: the first one's time and sentiment count, the words of later ones are added."""
        row = await session.scalar(
            select(ProactiveMessage).where(ProactiveMessage.id == message_id).with_for_update()
        )
        if row is None:
            return None
        if row.contractor_response is None:
            row.contractor_response = reply.text
            row.response_received_at = reply.received_at
            row.sentiment_score = None if reply.command else reply.sentiment_score
            if row.sent_at is not None:
                row.response_minutes = round(max((reply.received_at - row.sent_at).total_seconds() / 60, 0.0), 4)
        else:
            row.contractor_response += f"\n{reply.text}"
        row.silence_due = None
        row.updated_at = reply.received_at
        return None  # what was done about it stands already


KINDS = (ProactiveMessages,)
