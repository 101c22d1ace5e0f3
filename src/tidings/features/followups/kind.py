"""How follow-ups leave: their alarm clock, what is loaded for a claimed row, its text, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.clock import Clock
from tidings.engine.jobs import Job
from tidings.engine.policy import QueuePolicy
from tidings.features.followups.drafts import Wording
from tidings.features.followups.jobs import SEND_FOLLOW_UP
from tidings.features.followups.models import ActionItem, FollowUp
from tidings.features.followups.replies import add_reply
from tidings.features.followups.rules.recurrence import next_occurrence
from tidings.features.followups.rules.texts import subject_of
from tidings.features.followups.schemas import SendFollowUp
from tidings.features.followups.series import ENDINGS, schedule_next
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.terms import Clash, ConsentNeed, promotional
from tidings.messages.kind import Conclusion, Content, Letter, Outbox, Reply, alarm_time
from tidings.messages.statuses import Reason

KIND = "follow-up"
SENT_BY_WORKER = "bull_worker"

USEFUL = timedelta(days=3)
"""How long after its time a follow-up is still worth sending that does not say so itself."""

_ROW = FollowUp.__table__.c
_CONTRACTOR = Contractor.__table__.c
_ITEM = ActionItem.__table__.c

LOADED = (
    select(
        *(
            _ROW[name]
            for name in (
                "id",
                "contractor_id",
                "event_id",
                "scheduled_time",
                "followup_type",
                "message_template",
                "message_tone",
                "ai_should_personalize",
                "ai_context_hints",
                "skip_if_completed",
                "is_recurring",
                "recurrence_interval_days",
                "first_local_time",
                "occurrence",
                "channel",
                "if_blocked",
                "not_after",
                "attempts",
                "created_at",
            )
        ),
        *(
            _CONTRACTOR[name]
            for name in (
                "name",
                "first_name",
                "last_name",
                "phone",
                "email",
                "company_name",
                "ghl_contact_id",
                "ghl_location_id",
            )
        ),
        _CONTRACTOR.timezone.label("contractor_timezone"),
        *(_ITEM[name].label(f"action_item_{name}") for name in ("title", "description", "due_date", "completed_at")),
    )
    .join(_CONTRACTOR.id.table, _CONTRACTOR.id == _ROW.contractor_id)
    .outerjoin(_ITEM.id.table, _ITEM.id == _ROW.action_item_id)
)
"""Follow-ups with their people and action items, in one query."""


def alarm_id(follow_up_id: int) -> str:
    """`follow-up-123`."""
    return SEND_FOLLOW_UP.id_of(SendFollowUp(id=follow_up_id))


def alarm(row: FollowUp) -> Job:
    """The job that wakes one row at its time."""
    return SEND_FOLLOW_UP.job(SendFollowUp(id=row.id), due=alarm_time(row), priority=row.priority)


def useful_until(row: Mapping[str, Any], timezone: str) -> datetime:
    """The moment (UTC) after which a follow-up is skipped instead of sent late.

    An occurrence of a series is never sent after the next one's time. `timezone` is where the contractor is.
    """
    end: datetime = row["not_after"] or row["scheduled_time"] + USEFUL
    if not row["is_recurring"]:
        return end
    _, following = next_occurrence(
        row["first_local_time"],
        row["recurrence_interval_days"],
        row["occurrence"],
        timezone,
        row["scheduled_time"],
    )
    return min(end, following)


@dataclass(frozen=True)
class FollowUpMail:
    """The parts of the outbox that need the clock, the writer or the timezone of contractors without one."""

    clock: Clock
    wording: Wording
    timezone: str

    async def load(self, connection: AsyncConnection, ids: Sequence[int]) -> list[Letter]:
        """The letters of claimed rows."""
        rows = (await connection.execute(LOADED.where(_ROW.id.in_(ids)))).mappings()
        return [self._letter(dict(row)) for row in rows]

    def _letter(self, row: Mapping[str, Any]) -> Letter:
        done = row["skip_if_completed"] and row["action_item_completed_at"] is not None
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
            terms=promotional(Clash(row["if_blocked"]), ConsentNeed.NOT_REVOKED),
            timezone=row["contractor_timezone"],
            not_after=useful_until(row, row["contractor_timezone"] or self.timezone),
            obsolete=Reason.ACTION_ITEM_COMPLETED if done else None,
        )

    async def compose(self, letter: Letter) -> Content:
        """The text of one follow-up and the payload beside it. Raises TemplateError."""
        row = letter.row
        draft = await self.wording.draft(row)
        return Content(
            text=draft.text,
            subject=subject_of(row),
            metadata={
                "contractor_id": row["contractor_id"],
                "followup_id": row["id"],
                "contractor_name": row["name"],
                "followup_type": row["followup_type"],
                **({} if row["event_id"] is None else {"event_id": row["event_id"]}),
                "ghl_contact_id": row["ghl_contact_id"],
                "ghl_location_id": row["ghl_location_id"],
            },
            draft=draft if row["ai_should_personalize"] else None,
        )

    async def conclude(self, connection: AsyncConnection, conclusions: Sequence[Conclusion]) -> list[Job]:
        """The jobs of the next occurrences."""
        ids = [
            conclusion.letter.id
            for conclusion in conclusions
            if conclusion.letter.row["is_recurring"] and conclusion.reason not in ENDINGS
        ]
        return list((await schedule_next(connection, ids, self.clock.now(), self.timezone)).values()) if ids else []

    async def on_reply(self, session: AsyncSession, follow_up_id: int, reply: Reply) -> str | None:
        """Stores a reply with its follow-up."""
        row = await session.get(FollowUp, follow_up_id, with_for_update=True)
        if row is not None:
            sentiment = None if reply.command else reply.sentiment_score
            add_reply(row, reply.text, reply.received_at, sentiment, reply.action_taken, self.clock.now())
            await session.flush()
        return None


def when_sent(letter: Letter, content: Content, moment: datetime) -> dict[str, Any]:
    """The specification's columns of a follow-up that the worker sent."""
    return {"sent_at": moment, "sent_by": SENT_BY_WORKER}


def followup_outbox(
    queue: QueuePolicy, wording: Wording, clock: Clock, *, timezone: str, compose_seconds: float
) -> Outbox:
    """The outbox of follow-ups on their (configured) queue; the writer has `compose_seconds` for one text."""
    mail = FollowUpMail(clock, wording, timezone)
    return Outbox(
        kind=KIND,
        queue=queue,
        model=FollowUp,
        alarm=alarm,
        load=mail.load,
        compose=mail.compose,
        when_sent=when_sent,
        compose_seconds=compose_seconds,
        conclude=mail.conclude,
        on_reply=mail.on_reply,
    )
