"""The kind of event messages: what is loaded for a claimed row, how its text is made, what answers mean."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, ClassVar

from sqlalchemy import Select, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.rows import count_changed
from tidings.features.events.jobs import EVENT_MESSAGE, SEND_EVENT_MESSAGE
from tidings.features.events.lookup import find_event, find_registration, lock_events_of_contacts
from tidings.features.events.merging import merge_registrations
from tidings.features.events.models import AgendaSession, Event, EventMessage, EventStatus, Registration, SessionKind
from tidings.features.events.rules.plan import EVENT_FACTS, SESSION_FACTS, EventFacts, SessionFacts
from tidings.features.events.rules.texts import compose_text, variables_for
from tidings.features.events.rules.timing import useful_until
from tidings.features.events.types import FACTS, MessageType, priority_of
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.kind import Addressee, Content, Message, MessageKind, Reply, RowChange
from tidings.messages.statuses import Reason
from tidings.work import Work

_MESSAGE = EventMessage.__table__.c
_EVENT = Event.__table__.c
_CONTRACTOR = Contractor.__table__.c
_SESSION = AgendaSession.__table__.c

_LOADED = (
    select(
        *(
            _MESSAGE[name]
            for name in (
                "id",
                "contractor_id",
                "message_type",
                "message_content",
                "personalization_data",
                "scheduled_time",
                "created_at",
                "attempts",
                "channel",
                "phone",
                "ghl_contact_id",
                "ghl_location_id",
            )
        ),
        *(_CONTRACTOR[name] for name in ("name", "first_name", "last_name", "email", "company_name")),
        _CONTRACTOR.phone.label("contractor_phone"),
        _CONTRACTOR.ghl_contact_id.label("contractor_ghl_contact_id"),
        _CONTRACTOR.ghl_location_id.label("contractor_ghl_location_id"),
        *(_EVENT[name].label(f"event_{name}") for name in (*EVENT_FACTS, "status")),
        *(_SESSION[name].label(f"session_{name}") for name in SESSION_FACTS),
    )
    .join(_CONTRACTOR.id.table, _CONTRACTOR.id == _MESSAGE.contractor_id)
    .join(_EVENT.id.table, _EVENT.id == _MESSAGE.event_id)
    .outerjoin(_SESSION.id.table, and_(_SESSION.event_id == _MESSAGE.event_id, _SESSION.key == _MESSAGE.session_key))
)


_facts_of_event = itemgetter(*(f"event_{name}" for name in EVENT_FACTS))
_event = lru_cache(maxsize=256)(EventFacts)  # most messages of a batch are about one event, and its hash is kept


def _session_of(row: Mapping[str, Any]) -> SessionFacts | None:
    if row["session_key"] is None:
        return None
    facts = {name: row[f"session_{name}"] for name in SESSION_FACTS}
    return SessionFacts(**{**facts, "kind": SessionKind(facts["kind"])})


class EventMessages(MessageKind):
    """Event messages, with times of day on clocks of 12 or 24 hours (`hour_cycle`)."""

    name = EVENT_MESSAGE
    model = EventMessage
    job_type = SEND_EVENT_MESSAGE
    loaded = _LOADED

    def __init__(self, *, hour_cycle: int = 24) -> None:
        self._hour_cycle = hour_cycle

    personal: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("message_content", "phone", "response_received", "error_message", "action_taken")),
        **dict.fromkeys(("ghl_contact_id", "ghl_message_id", "ghl_location_id")),
        "personalization_data": {},
    }

    @classmethod
    async def erase_person(cls, work: Work, whom: Addressee) -> Mapping[str, int]:
        """Their places at events, living or over."""
        async with work.begin() as unit:
            await cls.contacts_changing(unit.session, whom.ids, work.clock.now())
            theirs = delete(Registration).where(Registration.contractor_id.in_(whom.ids))
            return {Registration.__tablename__: await count_changed(unit.session, theirs)}

    @classmethod
    def priority(cls, row: Any) -> int:
        """The priority of its type."""
        return priority_of(row.message_type)

    @classmethod
    async def timezones(cls, session: AsyncSession, row: Any) -> tuple[str | None, str | None]:
        """The event's."""
        return await session.scalar(select(Event.timezone).where(Event.id == row.event_id)), None

    @classmethod
    def events_named(cls, name: str) -> Select[int]:
        """The event with this id or slug."""
        is_id = name.isascii() and name.isdecimal() and len(name) <= 18
        return select(Event.id).where(Event.id == int(name) if is_id else Event.slug == name)

    @classmethod
    async def why_none(cls, session: AsyncSession, contact_id: int, event_id: int) -> str:
        """Whether they are registered, without which nothing is planned for anybody."""
        registration = await find_registration(session, event_id, contact_id)
        event = await find_event(session, event_id)
        if registration is None:
            return f"They are not registered for {event.name}, so nothing was planned for them."
        if registration.cancelled_at is not None:
            return f"Their registration for {event.name} was cancelled on {registration.cancelled_at:%d %b %Y}."
        return f"They are registered for {event.name}, and no message has been planned for them yet."

    @classmethod
    def says(cls, row: Any) -> Hashable:
        """Two messages of one type about one session say the same."""
        return row.event_id, row.message_type, row.session_key

    @classmethod
    async def contacts_merged(
        cls, session: AsyncSession, kept_id: int, merged_id: int, now: datetime
    ) -> Sequence[RowChange]:
        """Of two registrations for one event one is kept, with the sessions of both."""
        return await merge_registrations(session, kept_id, merged_id, now)

    @classmethod
    async def contacts_changing(cls, session: AsyncSession, contact_ids: Collection[int], now: datetime) -> None:
        """Has the plans of their living events be looked at again: others may be told their name and company."""
        for event in await lock_events_of_contacts(session, contact_ids):
            event.mark_changed(now)

    def message(self, row: Mapping[str, Any]) -> Message:
        address = row["email"] if row["channel"] == "email" else row["phone"] or row["contractor_phone"]
        event, session = _event(*_facts_of_event(row)), _session_of(row)
        return Message(
            id=row["id"],
            contact_id=row["contractor_id"],
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel=row["channel"],
            address=address,
            elsewhere=row["channel"] != "email" and row["phone"] is not None,
            idempotency_key=self.idempotency_key(row["id"], row["created_at"]),
            row={**row, "event": event},
            not_after=useful_until(MessageType(row["message_type"]), row["scheduled_time"], event, session),
            obsolete=Reason.EVENT_CANCELLED if row["event_status"] == EventStatus.CANCELLED else None,
        )

    async def compose(self, message: Message) -> Content:
        """The text of one message, and the payload fields that the specification puts beside it.

        Raises TemplateError when its template cannot be rendered.
        """
        row = message.row
        event: EventFacts = row["event"]
        message_type = MessageType(row["message_type"])
        return Content(
            text=compose_text(
                message_type,
                row["message_content"],
                variables_for(row, event, row["personalization_data"], self._hour_cycle),
            ),
            subject=f"{FACTS[message_type].subject}: {event.name}",
            metadata={
                "message_id": row["id"],
                "message_type": message_type,
                "contractor_id": row["contractor_id"],
                "contractor_name": row["name"],
                "event_id": event.id,
                "event_name": event.name,
                "ghl_contact_id": row["ghl_contact_id"] or row["contractor_ghl_contact_id"],
                "ghl_location_id": row["ghl_location_id"] or row["contractor_ghl_location_id"],
            },
        )

    def columns_when_sent(self, message: Message, content: Content, moment: datetime) -> dict[str, Any]:
        """The specification's columns of a sent message; `delay_minutes` may be a fraction."""
        delay = (moment - message.scheduled_time).total_seconds() / 60
        return {"actual_send_time": moment, "delay_minutes": round(max(delay, 0.0), 4)}

    async def on_reply(self, session: AsyncSession, message_id: int, reply: Reply) -> str | None:
        """Keeps what somebody answered with the message; a rating that it asked for becomes its `pcr_score`.

        A later reply is added to the text of the earlier ones and brings the newer score.
        """
        row = await session.get(EventMessage, message_id, with_for_update=True)
        if row is None:
            return None
        row.response_received = f"{row.response_received}\n{reply.text}" if row.response_received else reply.text
        row.response_time = row.response_time or reply.received_at
        action = None
        if reply.command is None:
            row.sentiment_score = reply.sentiment_score
            if reply.rating is not None and row.message_type == MessageType.PCR_REQUEST:
                row.pcr_score = reply.rating
                action = "rating_recorded"
        row.action_taken = action or reply.action_taken
        return action

    async def expects_rating(self, session: AsyncSession, ids: Sequence[int]) -> set[int]:
        """Those of the messages that asked for a rating and have none."""
        rows = await session.scalars(
            select(EventMessage.id).where(
                EventMessage.id.in_(ids),
                EventMessage.message_type == MessageType.PCR_REQUEST,
                EventMessage.pcr_score.is_(None),
            )
        )
        return set(rows)


KINDS = (EventMessages,)
