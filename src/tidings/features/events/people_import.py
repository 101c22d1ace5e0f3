"""Many people at once: all of them and their registrations in one transaction, in a few statements.

Their messages follow, some people's after the other's. That they are to follow is noted with the people: the event's
plan has changed. So orchestration goes on with what a process has left undone that died.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.batches import among_many, update_rows
from tidings.db.bulk_insert import bulk_insert, reserve_ids
from tidings.db.rows import locked_ids
from tidings.errors import BadRow, Conflict, InvalidRows
from tidings.features.events.acquaintances import Acquaintances, addresses_in, find_known
from tidings.features.events.lookup import find_event
from tidings.features.events.models import Event, EventMessage, EventStatus, Registration
from tidings.features.events.plan_changes import ScheduleResult
from tidings.features.events.schedule import CLEARED, make_schedules
from tidings.fields import MAX_ID
from tidings.messages.contacts.addresses import follow, refresh_words
from tidings.messages.contacts.contractors import PROFILE, Contractor
from tidings.messages.contacts.files.people_file import Person
from tidings.messages.contacts.identity import find_person
from tidings.messages.contacts.saving import news, rivalry
from tidings.messages.statuses import Reason, Status
from tidings.work import Portions, Work

AT_ONCE = 400
Item = TypeVar("Item")

_WITHOUT_AGENDA = (Registration.cancelled_at.is_(None), Registration.profile_completed_at.is_(None))
_ADDRESSES = frozenset({"phone", "email"})
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
    """Saves people, with `event_id` registers them, and schedules their messages.

    People and registrations are saved as a whole or not at all; then the messages follow. Somebody known by phone or
    mail, whose name does not clash, is completed; somebody registered stays so. Raises InvalidRows with every line
    that may be about two people, NotFound, and Conflict: the event is over, or somebody else is saving one of them.
    """
    async with work.read() as session:
        in_order, events = await _prepare(session, people, event_id)
    try:
        async with work.begin() as unit:
            run = _Import(unit.session, work.clock.now(), on_progress)
            await run.lock(events)
            event = None if event_id is None else await _living_event(unit.session, event_id)
            contractors = await run.save(in_order, source)
            if event is not None:
                await run.register(event, contractors)
            await run.complete_profiles(contractors)
    except IntegrityError as error:
        raise Conflict(
            f"{source}: somebody else is saving one of these people right now; nothing was imported, so try again"
        ) from error
    portions = Portions(work)
    for some in _chunks(run.reworded):
        async with portions.begin() as unit:
            await refresh_words(unit.session, some)
    for one, ids, what in run.to_schedule:
        run.result.messages.add(await _schedule(work, one, ids, what, on_progress))
    return run.result


async def _schedule(
    work: Work, event_id: int, ids: Sequence[int], what: str, on_progress: Progress
) -> ScheduleResult:
    told = 0

    def heard(people: int) -> None:
        nonlocal told
        if people // AT_ONCE > told // AT_ONCE or people == len(ids):
            on_progress(what, people, len(ids))
        told = people

    return await make_schedules(work, event_id, ids, revive_cleared=False, on_planned=heard)


async def _living_event(session: AsyncSession, event_id: int) -> Event:
    event = await find_event(session, event_id, lock=True)
    if event.status in (EventStatus.CANCELLED, EventStatus.COMPLETED):
        raise Conflict(f"event {event.id} is {event.status}; nobody can be registered for it")
    return event


class _Import:
    """One import under way. `to_schedule` are people whose messages are to follow: event, ids, and what they are;
    `reworded` are those whose names or firms have changed, by which they are found."""

    def __init__(self, session: AsyncSession, now: datetime, on_progress: Progress) -> None:
        self.result = ImportResult()
        self.to_schedule: list[tuple[int, list[int], str]] = []
        self.reworded: list[int] = []
        self._session = session
        self._now = now
        self._progress = on_progress

    async def lock(self, events: Collection[int]) -> None:
        """Locks the events that may be planned again, before people, as everybody does."""
        for some in _chunks(sorted(events)):
            await self._session.execute(locked_ids(Event, Event.id.in_(some)))

    async def save(self, people: Sequence[Person], source: str) -> dict[int, bool]:
        """The ids of the contractors that the people are now, and whether each one's profile is complete."""
        saved: dict[int, bool] = {}
        bad: list[BadRow] = []
        done = 0
        for chunk in _chunks(people):
            before = await find_known(self._session, chunk)
            known = Acquaintances(before)
            contractors = await self._contractors(known.ids)
            changed: set[int] = set()
            moved: set[int] = set()
            added: list[dict[str, Any]] = []
            for person in chunk:
                values = {name: value for name in _COLUMNS if (value := getattr(person, name)) is not None}
                found = find_person(person.name, addresses_in(person), known.of(person))
                if found.rivals is not None:
                    bad.append(BadRow(person.line, "phone", rivalry(found.rivals, values)))
                    continue
                if found.id is None:
                    added.append({**dict.fromkeys(_COLUMNS), **values})
                    known.add(-len(added), person)  # the next line may be about the same person
                    continue
                contractor = added[-found.id - 1] if found.id < 0 else contractors[found.id]
                self.result.completed += 1
                told = news(values, contractor["name"], contractor["phone"])
                other = {name for name, value in told.items() if contractor[name] != value}
                if other:
                    contractor |= told
                    if found.id > 0:
                        contractor["updated_at"] = self._now
                        changed.add(found.id)
                        if other & _ADDRESSES:
                            moved.add(found.id)
                if found.id > 0:
                    saved[found.id] = all(contractor[name] for name in PROFILE)
            await self._change([contractors[row_id] for row_id in sorted(changed)])
            new = await self._add(added)
            await follow(self._session, [*moved, *new], source="import", now=self._now, known=before)
            self.reworded += sorted(changed - moved)
            saved.update(new)
            self.result.added += len(added)
            done += len(chunk)
            self._progress("people", done, len(people))
        if bad:
            raise InvalidRows(source, sorted(bad, key=lambda row: row.line))
        return saved

    async def _contractors(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """The columns of contractors, by their ids."""
        table = Contractor.__table__.c
        columns = (table.id, table.updated_at, *(table[name] for name in _COLUMNS))
        mine = among_many(table.id, "ids", self._session.get_bind().dialect.name)
        rows = await self._session.execute(select(*columns).where(mine), {"ids": ids})
        return {row["id"]: dict(row) for row in rows.mappings()}

    async def _change(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes contractors in order of id."""
        columns = (*_COLUMNS, "updated_at")
        await update_rows(await self._session.connection(), Contractor, columns, rows, key_share=True)

    async def _add(self, people: Sequence[Mapping[str, Any]]) -> dict[int, bool]:
        if not people:
            return {}
        ids = await reserve_ids(self._session, Contractor, len(people))
        columns = {name: [person[name] for person in people] for name in _COLUMNS}
        moments = {"created_at": self._now, "updated_at": self._now}
        await bulk_insert(self._session, Contractor, {"id": ids, **columns}, moments)
        return {row_id: all(person[name] for name in PROFILE) for row_id, person in zip(ids, people, strict=True)}

    async def register(self, event: Event, contractors: Mapping[int, bool]) -> None:
        """Registers those who are not."""
        new: list[int] = []
        for chunk in _chunks(list(contractors)):
            rows = await self._session.scalars(
                select(Registration).where(Registration.event_id == event.id, Registration.contractor_id.in_(chunk))
            )
            present = {registration.contractor_id: registration for registration in rows}
            back: list[int] = []
            for registration in present.values():
                if registration.cancelled_at is None:
                    self.result.already_registered += 1
                    continue
                person = registration.contractor_id
                registration.session_keys, registration.cancelled_at = [], None
                registration.registered_at = self._now
                registration.profile_completed_at = self._now if contractors[person] else None
                back.append(person)
            await self._session.flush()
            await self._forget_clearing(event.id, back)
            missing = [person for person in chunk if person not in present]
            await self._add_registrations(event, missing, contractors)
            new += back + missing
        self.result.registered = len(new)
        if new:
            self.to_schedule.append((event.id, new, "messages"))
            event.mark_changed(self._now)  # the others' peers may change, too

    async def _forget_clearing(self, event_id: int, people: Sequence[int]) -> None:
        """Lets the plan bring back what was cleared of people who are registered anew."""
        theirs = (EventMessage.event_id == event_id, EventMessage.contractor_id.in_(people))
        cleared = (EventMessage.status == Status.CANCELLED, EventMessage.status_reason.in_(CLEARED))
        if people:
            await self._session.execute(
                update(EventMessage)
                .where(EventMessage.id.in_(locked_ids(EventMessage, *theirs, *cleared)))
                .values(status_reason=Reason.REGISTRATION_CANCELLED)
                .execution_options(synchronize_session=False)
            )

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
            (await find_event(self._session, event_id)).mark_changed(self._now)
            self.to_schedule.append((event_id, ids, "personal agendas"))

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


async def _prepare(
    session: AsyncSession, people: Sequence[Person], event_id: int | None
) -> tuple[list[Person], set[int]]:
    """The people, those who are known first, in order of id, and the events that may be planned again.

    Everybody locks events before people, and both in order of id. Those who are new come in order of their phones
    and mails, on which two imports of the same people would wait for each other.
    """
    places: dict[int, int] = {}
    events = set() if event_id is None else {event_id}
    for chunk in _chunks(people):
        known = Acquaintances(await find_known(session, chunk))
        for person in chunk:
            found = find_person(person.name, addresses_in(person), known.of(person))
            places[id(person)] = found.id or (min(found.rivals) if found.rivals else MAX_ID)
    for ids in _chunks(sorted(set(places.values()) - {MAX_ID})):
        theirs = select(Registration.event_id).where(Registration.contractor_id.in_(ids), *_WITHOUT_AGENDA)
        events.update(await session.scalars(theirs))
    return sorted(people, key=lambda one: (places[id(one)], one.phone or "", one.email or "")), events


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
