"""Why did this person (not) get it? Their latest messages, or those about an event, with a sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.opt_outs import history_of, in_words
from tidings.messages.kind import Addressee, MessageKind, due_time
from tidings.messages.why import summary_of

LATEST = 20
"""Messages that are told of."""


@dataclass(frozen=True, slots=True)
class ToldMessage:
    """One message to the person; `at` (UTC) is its time, `sentence` where it stands and why."""

    message: str
    about: str
    at: datetime
    status: str
    sentence: str


@dataclass(frozen=True, slots=True)
class PersonStory:
    """What a person got and what not, the latest first. `sentences` are about the person."""

    contact: Contractor
    sentences: Sequence[str]
    messages: Sequence[ToldMessage]


async def explain_person(
    session: AsyncSession, contact: Contractor, whom: Addressee, kinds: Sequence[type[MessageKind]], event: str | None
) -> PersonStory:
    """Raises NotFound for an event that there is not."""
    event_id = await _event_id(session, kinds, event) if event is not None else None
    told: list[ToldMessage] = []
    sentences = await _about_the_person(session, contact, whom)
    for kind in kinds:
        if (theirs := kind.written_to(whom)) is None or (
            event_id is not None and not hasattr(kind.model, "event_id")
        ):
            continue
        query = select(kind.model).where(theirs)
        if event_id is not None:
            query = query.where(kind.model.event_id == event_id)
        latest = query.order_by(kind.model.scheduled_time.desc(), kind.model.id.desc()).limit(LATEST)
        told += [
            ToldMessage(kind.job_id(row.id), kind.about(row), due_time(row), row.status, summary_of(row))
            for row in await session.scalars(latest)
        ]
    if event_id is not None and not told:
        for kind in kinds:
            if reason := await kind.why_none(session, contact.id, event_id):
                sentences.append(reason)
    elif not told:
        sentences.append("Nothing was ever written to them or planned for them.")
    told.sort(key=lambda one: one.at, reverse=True)
    return PersonStory(contact, sentences, told[: LATEST if event is None else None])


async def _event_id(session: AsyncSession, kinds: Sequence[type[MessageKind]], event: str) -> int:
    for kind in kinds:
        if (query := kind.events_named(event)) is not None and (found := await session.scalar(query)) is not None:
            return found
    raise NotFound("event", event)


async def _about_the_person(session: AsyncSession, contact: Contractor, whom: Addressee) -> list[str]:
    sentences = []
    if contact.phone is None:
        sentences.append("They have no phone number, so no SMS can reach them.")
    if contact.email is None and contact.phone is None:
        sentences.append("They have no mail address either.")
    opted_out = {
        row.id: row
        for one in whom.ids
        for row in await history_of(session, one, whom.addresses)
        if row.ended_at is None
    }
    sentences += [
        f"{row.address} {in_words(row.stops, row.channel, row.tenant)}, "
        f"since {row.opted_out_at:%a %d %b %Y %H:%M} UTC."
        for row in opted_out.values()
    ]
    return sentences
