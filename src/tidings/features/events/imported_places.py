"""The places of imported people at an event: taken, given up, and what follows for their messages."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import and_, select, update

from tidings.db.bulk_insert import bulk_insert, reserve_ids
from tidings.db.rows import locked_ids
from tidings.errors import BadRow
from tidings.features.events.imported_people import chunks
from tidings.features.events.kind import EventMessages
from tidings.features.events.lookup import find_event, find_sessions
from tidings.features.events.models import AgendaSession, Event, EventMessage, EventStatus, Registration
from tidings.features.events.schedule import CLEARED
from tidings.messages.changes import cancel_where
from tidings.messages.contacts.files.person import Person
from tidings.messages.contacts.names import plain
from tidings.messages.statuses import Reason, Status
from tidings.validation import nearest
from tidings.work import Unit

WITHOUT_AGENDA = (Registration.cancelled_at.is_(None), Registration.profile_completed_at.is_(None))


class ImportedPlaces:
    """Gives places and takes them. `to_schedule` are people whose messages follow: event, ids, what they are."""

    def __init__(self, unit: Unit, now: datetime) -> None:
        self.to_schedule: list[tuple[int, list[int], str]] = []
        self.registered = self.already_registered = self.cancelled = self.cancelled_messages = 0
        self.left_registered = 0
        self.rebooked = 0
        self._unit = unit
        self._session = unit.session
        self._now = now

    async def withdraw(self, event: Event, contractor_ids: Collection[int]) -> None:
        """Cancels the registrations of people who do not come any more, and their waiting messages."""
        for some in chunks(sorted(contractor_ids)):
            rows = await self._session.scalars(
                select(Registration)
                .where(
                    Registration.event_id == event.id,
                    Registration.contractor_id.in_(some),
                    Registration.cancelled_at.is_(None),
                )
                .order_by(Registration.id)
                .with_for_update()
            )
            gone = []
            for registration in rows:
                registration.cancelled_at = self._now
                gone.append(registration.contractor_id)
            if not gone:
                continue
            await self._session.flush()
            which = and_(EventMessage.event_id == event.id, EventMessage.contractor_id.in_(gone))
            reason = Reason.REGISTRATION_CANCELLED
            self.cancelled += len(gone)
            self.cancelled_messages += await cancel_where(self._unit, EventMessages, which, reason, self._now)
            event.mark_changed(self._now)

    async def register(
        self, event: Event, contractors: Mapping[int, bool], chosen: Mapping[int, Sequence[str]]
    ) -> None:
        """Registers those who are not; `chosen` are the keys of sessions, all of them for who is not in it.

        The value of a contractor says whether their profile is complete.
        """
        new: list[int] = []
        rebooked: list[int] = []
        for chunk in chunks(list(contractors)):
            rows = await self._session.scalars(
                select(Registration).where(Registration.event_id == event.id, Registration.contractor_id.in_(chunk))
            )
            present = {registration.contractor_id: registration for registration in rows}
            back: list[int] = []
            for registration in present.values():
                person = registration.contractor_id
                keys = list(chosen.get(person, ()))
                if registration.cancelled_at is None:
                    self.already_registered += 1
                    if keys and registration.session_keys != keys:
                        registration.session_keys = keys
                        rebooked.append(person)
                    continue
                registration.session_keys, registration.cancelled_at = keys, None
                registration.registered_at = self._now
                registration.profile_completed_at = self._now if contractors[person] else None
                back.append(person)
            await self._session.flush()
            await self._forget_clearing(event.id, back)
            missing = [person for person in chunk if person not in present]
            await self._add(event, missing, contractors, chosen)
            new += back + missing
        self.registered, self.rebooked = len(new), len(rebooked)
        if new:
            self.to_schedule.append((event.id, new, "messages"))
        if rebooked:
            self.to_schedule.append((event.id, rebooked, "chosen sessions"))
        if new or rebooked:
            event.mark_changed(self._now)  # the others' peers may change, too

    async def count_left(self, event: Event, contractor_ids: Collection[int]) -> None:
        """Counts those who are registered, though the file says nothing that would register them."""
        for some in chunks(sorted(contractor_ids)):
            theirs = (Registration.event_id == event.id, Registration.contractor_id.in_(some))
            rows = await self._session.scalars(
                select(Registration.id).where(*theirs, Registration.cancelled_at.is_(None))
            )
            self.left_registered += len(rows.all())

    async def complete_profiles(self, contractors: Mapping[int, bool]) -> None:
        """Whoever's profile is complete by now gets the personal agenda of every event to come."""
        complete = [contractor_id for contractor_id, is_complete in contractors.items() if is_complete]
        by_event: dict[int, list[int]] = {}
        for ids in chunks(complete):
            for registration in await self._without_agenda(ids):
                registration.profile_completed_at = self._now
                by_event.setdefault(registration.event_id, []).append(registration.contractor_id)
        await self._session.flush()
        for event_id, ids in sorted(by_event.items()):
            (await find_event(self._session, event_id)).mark_changed(self._now)
            self.to_schedule.append((event_id, ids, "personal agendas"))

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

    async def _add(
        self,
        event: Event,
        people: Sequence[int],
        is_complete: Mapping[int, bool],
        chosen: Mapping[int, Sequence[str]],
    ) -> None:
        if not people:
            return
        columns = {
            "id": await reserve_ids(self._session, Registration, len(people)),
            "contractor_id": people,
            "session_keys": [json.dumps(list(chosen.get(person, ()))) for person in people],
            "profile_completed_at": [self._now if is_complete[person] else None for person in people],
        }
        same = {"event_id": event.id, "registered_at": self._now}
        await bulk_insert(self._session, Registration, columns, same)

    async def _without_agenda(self, contractor_ids: Sequence[int]) -> Sequence[Registration]:
        rows = await self._session.scalars(
            select(Registration)
            .join(Event, Event.id == Registration.event_id)
            .where(
                Registration.contractor_id.in_(contractor_ids),
                *WITHOUT_AGENDA,
                Event.status.in_((EventStatus.UPCOMING, EventStatus.LIVE)),
            )
        )
        return rows.all()


_ALL = frozenset(("all", "all sessions", "everything", "alle", "alles", "todas", "todos", "toutes", "alla"))


class ChosenSessions:
    """The sessions that people chose, by key or title, as keys; `bad` are those that the agenda does not have."""

    def __init__(self, agenda: Sequence[AgendaSession]) -> None:
        self.bad: list[BadRow] = []
        self._by_name: dict[str, list[str]] = {}
        for session in agenda:
            self._by_name.setdefault(plain(session.title), []).append(session.key)
        self._keys = {session.key: session.key for session in agenda}
        self._titles = tuple(dict.fromkeys(session.title for session in agenda))

    @classmethod
    async def of(cls, unit: Unit, event: Event) -> ChosenSessions:
        """Those of an event's agenda."""
        return cls(await find_sessions(unit.session, event.id))

    def keys(self, person: Person) -> list[str]:
        """In the order in which they are stored; none where nothing was chosen that there is."""
        found: set[str] = set()
        if all(plain(told) in _ALL for told in person.sessions):
            return []
        for told in (part for one in person.sessions for part in self._parts(one)):
            named = self._named(told)
            found.update(named)
            if not named:
                near = nearest(told, self._titles)
                hint = f"; did you mean {near!r}?" if near else ""
                self.bad.append(BadRow(person.line, "sessions", f"the agenda has no session {told[:80]!r}{hint}"))
        if person.sessions and not found:
            self.bad[-1] = BadRow(person.line, "sessions", f"{self.bad[-1].message} (registered for all sessions)")
        return sorted(found)

    def _named(self, told: str) -> list[str]:
        return [self._keys[told]] if told in self._keys else self._by_name.get(plain(told), [])

    def _parts(self, told: str) -> Iterator[str]:
        """What was chosen in one cell: forms put commas between, which titles may have, too."""
        words = told.split(",")
        while words:
            ends = range(len(words), 0, -1)
            end = next((end for end in ends if self._named(",".join(words[:end]).strip())), 1)
            yield ",".join(words[:end]).strip()
            words = words[end:]
