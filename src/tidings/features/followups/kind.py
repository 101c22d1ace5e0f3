"""The kind of follow-ups: what is loaded for a claimed row, its text, and what follows from it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.clock import Clock
from tidings.db.rows import count_changed, locked_ids
from tidings.engine.jobs import Job
from tidings.features.followups.drafts import DraftWriter
from tidings.features.followups.jobs import FOLLOW_UP, SEND_FOLLOW_UP
from tidings.features.followups.models import ENDINGS, EVENTS, UNFOLLOWED, ActionItem, FollowUp
from tidings.features.followups.replies import add_reply
from tidings.features.followups.rules.recurrence import first_in, next_occurrence
from tidings.features.followups.rules.texts import subject_of
from tidings.features.followups.series import schedule_next
from tidings.features.followups.zones import zone_of_row
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.terms import ConsentNeed, IfBlocked, promotional
from tidings.messages.kind import Addressee, Content, Ended, Message, MessageKind, Reply
from tidings.messages.statuses import OPEN, Reason
from tidings.work import Work

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
        EVENTS.c.timezone.label("event_timezone"),
        *(_ITEM[name].label(f"action_item_{name}") for name in ("title", "description", "due_date", "completed_at")),
    )
    .join(_CONTRACTOR.id.table, _CONTRACTOR.id == _ROW.contractor_id)
    .outerjoin(_ITEM.id.table, _ITEM.id == _ROW.action_item_id)
    .outerjoin(EVENTS, EVENTS.c.id == _ROW.event_id)
)
"""Follow-ups with their people, action items and events' timezones, in one query."""


def useful_until(row: Mapping[str, Any], timezone: str) -> datetime:
    """The moment (UTC) after which a follow-up is skipped instead of sent late.

    An occurrence of a series is never sent after the next one's time. `timezone` is that of contractors whose own
    nothing tells.
    """
    end: datetime = row["not_after"] or row["scheduled_time"] + USEFUL
    if not row["is_recurring"]:
        return end
    zone = zone_of_row(row, timezone)
    _, following = next_occurrence(
        first_in(zone, row, timezone),
        row["recurrence_interval_days"],
        row["occurrence"],
        zone.name,
        row["scheduled_time"],
    )
    return min(end, following)


class FollowUpMessages(MessageKind):
    """Follow-ups. `timezone` is that of contractors whose own nothing tells; a text may take `compose_seconds`."""

    name = FOLLOW_UP
    noun = "follow-up"
    model = FollowUp
    job_type = SEND_FOLLOW_UP
    loaded = LOADED
    unfollowed = UNFOLLOWED

    def __init__(self, drafts: DraftWriter, clock: Clock, *, timezone: str, compose_seconds: float) -> None:
        self.clock = clock
        self.drafts = drafts
        self.timezone = timezone
        self.compose_seconds = compose_seconds

    @classmethod
    def priority(cls, row: Any) -> int:
        """The row's own: VIPs go first."""
        found: int = row.priority
        return found

    personal: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("message_tone", "response_text", "error_message", "action_item_id")),
        "message_template": "",
        "ai_context_hints": {},
    }

    @classmethod
    async def erase_person(cls, work: Work, whom: Addressee) -> Mapping[str, int]:
        """What they had to do."""
        async with work.begin() as unit:
            mine = locked_ids(ActionItem, ActionItem.contractor_id.in_(whom.ids))
            gone = delete(ActionItem).where(ActionItem.id.in_(mine))
            return {ActionItem.__tablename__: await count_changed(unit.session, gone)}

    called_off: ClassVar[Mapping[str, Any]] = {"is_recurring": False}

    @classmethod
    def says(cls, row: Any) -> Hashable:
        """Two of one type with one text on one day say the same."""
        return row.followup_type, row.message_template, row.event_id, row.scheduled_time.date()

    @classmethod
    async def timezones(cls, session: AsyncSession, row: Any) -> tuple[str | None, str | None]:
        """The event's."""
        return await session.scalar(select(EVENTS.c.timezone).where(EVENTS.c.id == row.event_id)), None

    @classmethod
    def about(cls, row: Any) -> str:
        """A follow-up and its type."""
        return f"follow-up, {row.followup_type.replace('_', ' ')}"

    @classmethod
    def sequel(cls, row: Any) -> str | None:
        """Whether the series of an occurrence goes on."""
        if row.series_id is None or row.status in OPEN:
            return None
        if row.next_occurrence_id is not None:
            return f"Its series goes on with {cls.job_id(row.next_occurrence_id)}."
        if not row.is_recurring or row.status_reason in ENDINGS:
            return "Its series ended with it."
        return "The next one of its series is not written yet; a worker's recovery does so at its next check."

    def message(self, row: Mapping[str, Any]) -> Message:
        done = row["skip_if_completed"] and row["action_item_completed_at"] is not None
        return Message(
            id=row["id"],
            contact_id=row["contractor_id"],
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel=row["channel"],
            address=row["email"] if row["channel"] == "email" else row["phone"],
            idempotency_key=self.idempotency_key(row["id"], row["created_at"]),
            row=row,
            terms=promotional(IfBlocked(row["if_blocked"]), ConsentNeed.NOT_REVOKED),
            timezone=row["contractor_timezone"],
            not_after=useful_until(row, self.timezone),
            obsolete=Reason.ACTION_ITEM_COMPLETED if done else None,
        )

    async def compose(self, message: Message) -> Content:
        """The text of one follow-up and the payload beside it. Raises TemplateError."""
        row = message.row
        draft = await self.drafts.write(row)
        return Content(
            text=draft.text,
            subject=subject_of(row),
            metadata={
                "contractor_id": row["contractor_id"],
                "followup_id": row["id"],
                "contractor_name": row["name"],
                "followup_type": row["followup_type"],
                "message_type": row["followup_type"],
                **({} if row["event_id"] is None else {"event_id": row["event_id"]}),
                "ghl_contact_id": row["ghl_contact_id"],
                "ghl_location_id": row["ghl_location_id"],
            },
            draft=draft if row["ai_should_personalize"] else None,
        )

    async def on_ended(self, connection: AsyncConnection, ended: Sequence[Ended]) -> list[Job]:
        """The jobs of the next occurrences."""
        ids = [one.message.id for one in ended if one.message.row["is_recurring"] and one.reason not in ENDINGS]
        return list((await schedule_next(connection, ids, self.clock.now(), self.timezone)).values()) if ids else []

    async def on_reply(self, session: AsyncSession, follow_up_id: int, reply: Reply) -> str | None:
        """Stores a reply with its follow-up."""
        row = await session.get(FollowUp, follow_up_id, with_for_update=True)
        if row is not None:
            sentiment = None if reply.command else reply.sentiment_score
            add_reply(row, reply.text, reply.received_at, sentiment, reply.action_taken, self.clock.now())
            await session.flush()
        return None

    def columns_when_sent(self, message: Message, content: Content, moment: datetime) -> dict[str, Any]:
        """The specification's columns of a follow-up that the worker sent."""
        return {"sent_at": moment, "sent_by": SENT_BY_WORKER}


KINDS = (FollowUpMessages,)
