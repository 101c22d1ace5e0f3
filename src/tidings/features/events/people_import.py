"""Many people at once: all of them, what they want, and their registrations in one transaction, in a few statements.

Their messages follow, some people's after the other's. That they are to follow is noted with the people: the event's
plan has changed. So orchestration goes on with what a process has left undone that died.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.rows import locked_ids
from tidings.errors import BadRow, Conflict, InvalidRows
from tidings.features.events.acquaintances import Acquaintances, addresses_in, find_known
from tidings.features.events.imported_people import AT_ONCE, ImportedPeople, Progress, chunks
from tidings.features.events.imported_places import WITHOUT_AGENDA, ChosenSessions, ImportedPlaces
from tidings.features.events.lookup import find_event
from tidings.features.events.models import Event, EventStatus, Registration
from tidings.features.events.plan_changes import ScheduleResult
from tidings.features.events.schedule import make_schedules
from tidings.fields import MAX_ID
from tidings.messages.contacts.addresses import refresh_words
from tidings.messages.contacts.files.person import Person
from tidings.messages.contacts.files.statuses import Attendance, best
from tidings.messages.contacts.identity import find_person
from tidings.messages.contacts.wishes import Wishes, keep_wishes
from tidings.messages.gate.opt_outs import Reach
from tidings.work import Portions, Unit, Work


@dataclass(slots=True)
class ImportResult:
    """What an import changed, in people; `messages` in messages. `completed` were known before.

    `cancelled` were registered and do not come any more, `not_registered` are those who do not, in which way, and
    `left_registered` those of them who were registered and stay so. `rebooked` chose other sessions. `left_out` may
    be about two people each; `bad` are parts of lines that could not be used.
    """

    added: int = 0
    completed: int = 0
    registered: int = 0
    already_registered: int = 0
    rebooked: int = 0
    cancelled: int = 0
    left_registered: int = 0
    not_registered: Counter[Attendance] = field(default_factory=Counter)
    wishes: Wishes = field(default_factory=Wishes)
    left_out: list[BadRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    messages: ScheduleResult = field(default_factory=ScheduleResult)


async def import_people(
    work: Work,
    people: Sequence[Person],
    event_id: int | None = None,
    *,
    source: str = "people",
    reach: Reach | None = None,
    strict: bool = False,
    dry_run: bool = False,
    on_progress: Progress = lambda *_: None,
) -> ImportResult:
    """Saves people, with `event_id` registers those who come, and schedules their messages.

    People, opt-outs, consents and registrations are saved as a whole or not at all; then the messages follow.
    Somebody known by phone or mail, whose name does not clash, is completed; somebody registered stays so, unless the
    file says that they do not come. Who may be one of two people is left out, or with `strict` refused with all the
    others: InvalidRows. With `dry_run` all is done and undone again, so that the result says what would be; messages
    are not planned. Raises NotFound, and Conflict: the event is over, or somebody else is saving one of them.
    """
    async with work.read() as session:
        plan = await _prepare(session, people, event_id)
    now = work.clock.now()
    try:
        async with work.begin() as unit:
            places, saved = ImportedPlaces(unit, now), ImportedPeople(unit.session, now, on_progress)
            await _lock(unit, plan.events)
            event = None if event_id is None else await _living_event(unit.session, event_id)
            if event is not None:
                await places.withdraw(event, plan.leaving)
            await saved.save(plan.people)
            if strict and saved.left_out:
                raise InvalidRows(source, saved.left_out)
            result = ImportResult(saved.added, saved.completed, left_out=saved.left_out)
            if event is not None:
                await _register(unit, event, saved, places, result)
            await places.complete_profiles(saved.is_complete)
            result.wishes = await keep_wishes(unit, saved.saved, reach or Reach(), source=source, now=now)
            if dry_run:
                raise _Undone
    except _Undone:
        places.to_schedule, saved.reworded = [], []
    except IntegrityError as error:
        raise Conflict(
            f"{source}: somebody else is saving one of these people right now; nothing was imported, so try again"
        ) from error
    result.registered, result.already_registered = places.registered, places.already_registered
    result.cancelled, result.messages.cancelled = places.cancelled, places.cancelled_messages
    result.rebooked, result.left_registered = places.rebooked, places.left_registered
    portions = Portions(work)
    for some in chunks(saved.reworded):
        async with portions.begin() as unit:
            await refresh_words(unit.session, some)
    for one, ids, what in places.to_schedule:
        result.messages.add(await _schedule(work, one, ids, what, on_progress))
    return result


class _Undone(Exception):
    """Ends a unit of work whose changes are not to last."""


async def _register(
    unit: Unit, event: Event, saved: ImportedPeople, places: ImportedPlaces, result: ImportResult
) -> None:
    """Registers those who come, and counts the others."""
    sessions = await ChosenSessions.of(unit, event)
    attendance: dict[int, Attendance] = {}
    chosen: dict[int, list[str]] = {}
    for contact_id, person in saved.saved:
        said = person.attendance
        attendance[contact_id] = best(attendance[contact_id], said) if contact_id in attendance else said
        if person.sessions and (keys := sessions.keys(person)):
            chosen[contact_id] = sorted({*chosen.get(contact_id, ()), *keys})
    coming = {one: saved.is_complete[one] for one, said in attendance.items() if said is Attendance.REGISTERED}
    await places.register(event, coming, chosen)
    await places.count_left(event, attendance.keys() - coming.keys())
    result.not_registered.update(said for one, said in attendance.items() if one not in coming)
    result.bad += sessions.bad


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


async def _lock(unit: Unit, events: Collection[int]) -> None:
    """Locks the events that may be planned again, before people, as everybody does."""
    for some in chunks(sorted(events)):
        await unit.session.execute(locked_ids(Event, Event.id.in_(some)))


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The people in the order in which they are saved, the events that may be planned again, and who leaves."""

    people: list[Person]
    events: set[int]
    leaving: set[int]


async def _prepare(session: AsyncSession, people: Sequence[Person], event_id: int | None) -> _Prepared:
    """Those who are known come first, in order of id.

    Everybody locks events before people, and both in order of id. Those who are new come in order of their phones
    and mails, on which two imports of the same people would wait for each other.
    """
    places: dict[int, int] = {}
    events = set() if event_id is None else {event_id}
    said: dict[int, Attendance] = {}
    for chunk in chunks(people):
        known = Acquaintances(await find_known(session, chunk))
        for person in chunk:
            found = find_person(person.name, addresses_in(person), known.of(person))
            places[id(person)] = found.id or (min(found.rivals) if found.rivals else MAX_ID)
            if found.id is not None:
                earlier: Mapping[int, Attendance] = said
                said[found.id] = best(earlier.get(found.id, person.attendance), person.attendance)
    for ids in chunks(sorted(set(places.values()) - {MAX_ID})):
        theirs = select(Registration.event_id).where(Registration.contractor_id.in_(ids), *WITHOUT_AGENDA)
        events.update(await session.scalars(theirs))
    in_order = sorted(people, key=lambda one: (places[id(one)], one.phone or "", one.email or ""))
    return _Prepared(in_order, events, {one for one, attendance in said.items() if attendance.is_off})
