"""What a new agenda would change in messages, without a thing being written: by the rules and the comparison that
make the schedule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import TemplateError
from tidings.features.events.agenda_changes import NewAgenda
from tidings.features.events.models import Event
from tidings.features.events.plan_changes import ScheduleResult, step_for
from tidings.features.events.rules.plan import Attendee, EventFacts, Planned, SessionFacts
from tidings.features.events.rules.texts import compose_text, variables_for
from tidings.features.events.rules.timing import is_past, plan_for
from tidings.features.events.schedule import REVIVABLE, Basis, basis_with, compared, concerned, some_plans
from tidings.messages.text.segments import measure

SAMPLE = 50
"""People whose texts are written, to know what they take as SMS."""


@dataclass(frozen=True, slots=True)
class PersonalLoad:
    """What a person gets on the average, of `people` whose texts were written: messages to come, and their SMS."""

    people: int
    messages: float
    segments: float


@dataclass(slots=True)
class Rehearsal:
    """What would change: `messages` in all, `by_session` those about one session, by its key ("" for the event)."""

    agenda: NewAgenda
    people: int
    load: PersonalLoad
    messages: ScheduleResult = field(default_factory=ScheduleResult)
    by_session: dict[str, ScheduleResult] = field(default_factory=lambda: defaultdict(ScheduleResult))


async def rehearse(session: AsyncSession, event: Event, agenda: NewAgenda, now: datetime) -> Rehearsal:
    """What the agenda would change for everybody concerned at the moment `now` (UTC); nothing is written."""
    basis = await basis_with(session, event, agenda.event, agenda.slots)
    people = await concerned(session, event.id, basis)
    found = Rehearsal(agenda, len(basis.attendees), load_of(basis, now))
    done = 0
    while done < len(people):
        plans = some_plans(basis, people, done)
        for row, wanted in await compared(session, event.id, plans):
            if (name := _counts_as(row, wanted, now)) is None:
                continue
            key = row.session_key if wanted is None else wanted.session_key
            for result in (found.messages, found.by_session[key]):
                setattr(result, name, getattr(result, name) + 1)
        done += len(plans)
    return found


def _counts_as(row: Row[Any] | None, wanted: Planned | None, now: datetime) -> str | None:
    """As which of a ScheduleResult a message counts."""
    if row is not None:
        return step_for(row, wanted, now, REVIVABLE) or ("unchanged" if wanted is not None else None)
    return "skipped" if wanted is not None and is_past(wanted, now) else "scheduled"


def load_of(basis: Basis, now: datetime) -> PersonalLoad:
    """What the people of an event have still to get, from the texts of some of them."""
    some = list(basis.attendees)[:SAMPLE]
    plans = [(basis.attendees[person].name, basis.plan_of(person)) for person in some]
    return _load(basis.event, plans, now)


def load_of_anybody(event: EventFacts, slots: Sequence[SessionFacts], now: datetime) -> PersonalLoad:
    """What somebody would get who registers now and chooses nothing, so all sessions are theirs."""
    anybody = Attendee(0, "Alexandra Sample", None, frozenset(), now, now)
    return _load(event, [(anybody.name, plan_for(event, slots, anybody, {}))], now)


def _load(event: EventFacts, plans: Sequence[tuple[str, Sequence[Planned]]], now: datetime) -> PersonalLoad:
    messages = segments = 0
    for name, plan in plans:
        for wanted in plan:
            if is_past(wanted, now):
                continue
            messages += 1
            segments += _segments(event, name, wanted)
    people = max(len(plans), 1)
    return PersonalLoad(len(plans), messages / people, segments / people)


def _segments(event: EventFacts, name: str, wanted: Planned) -> int:
    variables = variables_for({"name": name}, event, wanted.personalization_data)
    try:
        return measure(compose_text(wanted.message_type, None, variables)).segments
    except TemplateError:
        return 0
