"""Many people at once: all of them and their registrations in one transaction, in a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.bulk_insert import bulk_insert, reserve_ids
from tidings.db.rows import locked_ids
from tidings.errors import BadRow, Conflict, InvalidRows
from tidings.features.events.lookup import find_event
from tidings.features.events.models import Event, EventStatus, Registration
from tidings.features.events.plan_changes import ScheduleResult
from tidings.features.events.registrations import add_registration
from tidings.features.events.schedule import make_schedule
from tidings.fields import MAX_ID
from tidings.messages.contacts.contractors import Contractor, is_complete, require_one
from tidings.messages.contacts.people_file import Person
from tidings.work import Unit, Work

AT_ONCE = 1000
Item = TypeVar("Item")

_WITHOUT_AGENDA = (Registration.cancelled_at.is_(None), Registration.profile_completed_at.is_(None))
_COLUMNS = tuple(column.name for column in fields(Person) if hasattr(Contractor, column.name))

Progress = Callable[[str, int, int], None]
"""Hears what is done, how many of it are done, and of how many."""


@dataclass(slots=True)
class ImportResult:
    """What an import changed, in people; `messages` in messages. `completed` were known before."""

    added: int = 0
    completed: int = 0
    registered: int = 0
    already_registered: int = 0
    messages: ScheduleResult = field(default_factory=ScheduleResult)


async def import_people(
    work: Work,
    people: Sequence[Person],
    event_id: int | None = None,
    *,
    source: str = "people",
    on_progress: Progress = lambda *_: None,
) -> ImportResult:
    """Saves people, with `event_id` registers them, and schedules their messages: everything or nothing.

    Somebody known by phone or mail is completed; somebody registered stays so. Raises InvalidRows with every
    line whose phone and mail belong to two people, NotFound, and Conflict: the event is over, or two have one phone.
    """
    try:
        async with work.begin() as unit:
            run = _Import(unit, work, on_progress)
            in_order = await run.prepare(people, event_id)
            event = None if event_id is None else await _living_event(unit.session, event_id)
            contractors = await run.save(in_order, source)
            if event is not None:
                await run.register(event, contractors)
            await run.complete_profiles(contractors)
            return run.result
    except IntegrityError as error:
        raise Conflict(
            f"{source}: two people there have the same phone or mail, or somebody else is saving them right now; "
            "nothing was imported"
        ) from error


async def _living_event(session: AsyncSession, event_id: int) -> Event:
    event = await find_event(session, event_id, lock=True)
    if event.status in (EventStatus.CANCELLED, EventStatus.COMPLETED):
        raise Conflict(f"event {event.id} is {event.status}; nobody can be registered for it")
    return event


class _Import:
    """One import under way."""

    def __init__(self, unit: Unit, work: Work, on_progress: Progress) -> None:
        self.result = ImportResult()
        self._unit = unit
        self._session = unit.session
        self._clock = work.clock
        self._now = work.clock.now()
        self._progress = on_progress

    async def prepare(self, people: Sequence[Person], event_id: int | None) -> list[Person]:
        """Locks the events that may be planned again; the people, those who are known first, in order of id.

        Everybody locks events before people, and both in order of id.
        """
        ids: dict[str, int] = {}
        events = set() if event_id is None else {event_id}
        for chunk in _chunks(people):
            ids |= await self._known(chunk)
        for known in _chunks(sorted(set(ids.values()))):
            theirs = select(Registration.event_id).where(Registration.contractor_id.in_(known), *_WITHOUT_AGENDA)
            events.update(await self._session.scalars(theirs))
        for some in _chunks(sorted(events)):
            await self._session.execute(locked_ids(Event, Event.id.in_(some)))
        return sorted(people, key=lambda one: min(ids.get(value or "", MAX_ID) for value in (one.phone, one.email)))

    async def save(self, people: Sequence[Person], source: str) -> dict[int, bool]:
        """The ids of the contractors that the people are now, and whether each one's profile is complete."""
        saved: dict[int, bool] = {}
        bad: list[BadRow] = []
        done = 0
        for chunk in _chunks(people):
            known = await self._contractors(await self._known(chunk))
            added = [person for person in chunk if known.keys().isdisjoint({person.phone, person.email})]
            new = set(added)
            for person in chunk:
                if person in new:
                    continue
                try:
                    contractor = self._complete(person, known)
                except Conflict as error:
                    bad.append(BadRow(person.line, "phone", f"{person.name}: {error}"))
                else:
                    saved[contractor.id] = contractor.has_complete_profile
                    self.result.completed += 1
            await self._session.flush()
            saved.update(await self._add(added))
            self.result.added += len(added)
            done += len(chunk)
            self._progress("people", done, len(people))
        if bad:
            raise InvalidRows(source, sorted(bad, key=lambda row: row.line))
        return saved

    async def _contractors(self, ids: Mapping[str, int]) -> dict[str, Contractor]:
        """The same, with the contractors themselves."""
        rows = await self._session.scalars(select(Contractor).where(Contractor.id.in_(set(ids.values()))))
        by_id = {contractor.id: contractor for contractor in rows}
        return {value: by_id[contractor_id] for value, contractor_id in ids.items()}

    def _complete(self, person: Person, known: dict[str, Contractor]) -> Contractor:
        values = {name: getattr(person, name) for name in _COLUMNS}
        theirs = {one.id: one for value in (person.phone, person.email) if value and (one := known.get(value))}
        require_one(theirs, values)
        [contractor] = theirs.values()
        contractor.complete(values, self._now)
        known.update({value: contractor for value in (person.phone, person.email) if value})
        return contractor

    async def _add(self, people: Sequence[Person]) -> dict[int, bool]:
        if not people:
            return {}
        ids = await reserve_ids(self._session, Contractor, len(people))
        columns = {name: [getattr(person, name) for person in people] for name in _COLUMNS}
        moments = {"created_at": self._now, "updated_at": self._now}
        await bulk_insert(self._session, Contractor, {"id": ids, **columns}, moments)
        return {row_id: is_complete(person) for row_id, person in zip(ids, people, strict=True)}

    async def register(self, event: Event, contractors: Mapping[int, bool]) -> None:
        """Registers those who are not, and schedules all that is still ahead of them."""
        new: list[int] = []
        for chunk in _chunks(list(contractors)):
            rows = await self._session.scalars(
                select(Registration).where(Registration.event_id == event.id, Registration.contractor_id.in_(chunk))
            )
            present = {registration.contractor_id: registration for registration in rows}
            for registration in present.values():
                if registration.cancelled_at is None:
                    self.result.already_registered += 1
                    continue
                person = registration.contractor_id
                await add_registration(self._session, event, person, [], self._now)
                registration.profile_completed_at = self._now if contractors[person] else None
                new.append(person)
            await self._session.flush()
            missing = [person for person in chunk if person not in present]
            await self._add_registrations(event, missing, contractors)
            new += missing
        self.result.registered = len(new)
        await self._schedule(event.id, new, "messages", revive_cleared=True)
        if new:
            event.mark_changed(self._now)  # the others' peers may change

    async def _add_registrations(self, event: Event, people: Sequence[int], is_complete: Mapping[int, bool]) -> None:
        if not people:
            return
        columns = {
            "id": await reserve_ids(self._session, Registration, len(people)),
            "contractor_id": people,
            "profile_completed_at": [self._now if is_complete[person] else None for person in people],
        }
        same = {"event_id": event.id, "session_keys": "[]", "registered_at": self._now}
        await bulk_insert(self._session, Registration, columns, same)

    async def complete_profiles(self, contractors: Mapping[int, bool]) -> None:
        """Whoever's profile is complete by now gets the personal agenda of every event to come."""
        complete = [contractor_id for contractor_id, is_complete in contractors.items() if is_complete]
        by_event: dict[int, list[int]] = {}
        for ids in _chunks(complete):
            for registration in await self._without_agenda(ids):
                registration.profile_completed_at = self._now
                by_event.setdefault(registration.event_id, []).append(registration.contractor_id)
        await self._session.flush()
        for event_id, ids in sorted(by_event.items()):
            await self._schedule(event_id, ids, "personal agendas", revive_cleared=False)

    async def _schedule(self, event_id: int, ids: Sequence[int], what: str, *, revive_cleared: bool) -> None:
        def heard(people: int) -> None:
            if people % AT_ONCE == 0 or people == len(ids):
                self._progress(what, people, len(ids))

        if not ids:
            return
        changed = await make_schedule(
            self._unit,
            self._clock,
            event_id,
            contractor_ids=ids,
            revive_cleared=revive_cleared,
            on_planned=heard,
        )
        for name, count in changed.as_dict().items():
            setattr(self.result.messages, name, getattr(self.result.messages, name) + count)

    async def _known(self, people: Sequence[Person]) -> dict[str, int]:
        """The phones and mails among those of the people that somebody has already, and whose they are."""
        by_phone = Contractor.phone.in_([person.phone for person in people if person.phone])
        by_email = Contractor.email.in_([person.email for person in people if person.email])
        query = select(Contractor.id, Contractor.phone, Contractor.email).where(or_(by_phone, by_email))
        rows = await self._session.execute(query)
        return {value: contractor_id for contractor_id, *values in rows for value in values if value}

    async def _without_agenda(self, contractor_ids: Sequence[int]) -> Sequence[Registration]:
        rows = await self._session.scalars(
            select(Registration)
            .join(Event, Event.id == Registration.event_id)
            .where(
                Registration.contractor_id.in_(contractor_ids),
                *_WITHOUT_AGENDA,
                Event.status.in_((EventStatus.UPCOMING, EventStatus.LIVE)),
            )
        )
        return rows.all()


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
