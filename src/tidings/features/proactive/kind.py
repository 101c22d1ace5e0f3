"""How proactive messages leave: their alarm clock, what is loaded for a claimed row, and what an answer changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.ai.base import Draft
from tidings.engine.jobs import Job
from tidings.engine.policy import QueuePolicy
from tidings.features.proactive.jobs import SEND_PROACTIVE_MESSAGE
from tidings.features.proactive.models import Approval, Goal, ProactiveMessage
from tidings.features.proactive.safeguards import SILENCE_AFTER, Safeguards
from tidings.features.proactive.schemas import SendProactiveMessage
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.terms import Clash, ConsentNeed, promotional
from tidings.messages.kind import Content, Letter, Outbox, Reply, alarm_time
from tidings.messages.statuses import Reason

KIND = "proactive-message"

_MESSAGE = ProactiveMessage.__table__.c
_CONTRACTOR = Contractor.__table__.c
_GOAL = Goal.__table__.c

_LETTERS = (
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


def alarm_id(message_id: int) -> str:
    """`proactive-message-123`."""
    return SEND_PROACTIVE_MESSAGE.id_of(SendProactiveMessage(id=message_id))


def alarm(row: ProactiveMessage) -> Job:
    """The job that wakes one row at its time."""
    return SEND_PROACTIVE_MESSAGE.job(SendProactiveMessage(id=row.id), due=alarm_time(row))


def _letter(row: Mapping[str, Any], floor: float) -> Letter:
    min_trust = None if row["approval"] == Approval.APPROVED else floor
    return Letter(
        id=row["id"],
        contact_id=row["contractor_id"],
        scheduled_time=row["scheduled_time"],
        attempt=row["attempts"],
        channel=row["channel"],
        address=row["email"] if row["channel"] == "email" else row["phone"],
        # Stable over every attempt, and different in a database that counts from 1 again.
        idempotency_key=f"{alarm_id(row['id'])}-{int(row['created_at'].timestamp() * 1_000_000)}",
        row=row,
        terms=promotional(Clash.DEFER, ConsentNeed.NOT_REVOKED, min_trust=min_trust),
        timezone=row["timezone"],
        not_after=row["useful_until"],
        obsolete=_overtaken(row),
    )


def _overtaken(row: Mapping[str, Any]) -> Reason | None:
    """What happened to the message's goal since it was written, if that makes the text untrue."""
    if row["goal_completed_at"] is not None:
        return Reason.ACTION_ITEM_COMPLETED
    if row["goal_progress_at"] is not None and row["goal_progress_at"] > row["created_at"]:
        return Reason.OVERTAKEN
    return None


async def compose(letter: Letter) -> Content:
    """The text as it was written and maybe approved, and the specification's payload beside it."""
    row = letter.row
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


def when_sent(letter: Letter, content: Content, moment: datetime) -> dict[str, Any]:
    """The columns of a sent message."""
    return {"sent_at": moment, "silence_due": moment + SILENCE_AFTER}


async def on_reply(session: AsyncSession, message_id: int, reply: Reply) -> str | None:
    """Keeps an answer: the first one's time and sentiment count, the words of later ones are added."""
    row = await session.scalar(select(ProactiveMessage).where(ProactiveMessage.id == message_id).with_for_update())
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


def proactive_outbox(queue: QueuePolicy, safeguards: Safeguards | None = None) -> Outbox:
    """The outbox of proactive messages on their (configured) queue. Texts are written before, never at sending."""
    floor = (safeguards or Safeguards()).floor

    async def load(connection: AsyncConnection, ids: Sequence[int]) -> list[Letter]:
        rows = (await connection.execute(_LETTERS.where(_MESSAGE.id.in_(ids)))).mappings()
        return [_letter(dict(row), floor) for row in rows]

    return Outbox(
        kind=KIND,
        queue=queue,
        model=ProactiveMessage,
        alarm=alarm,
        load=load,
        compose=compose,
        when_sent=when_sent,
        on_reply=on_reply,
    )
