"""Messages that somebody asks for by name: the rows they stand for, added or scheduled again in a few statements."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.db.bulk_insert import PORTION, bulk_insert, reserve_ids
from tidings.errors import Conflict, InvalidInput, NotFound, UserError
from tidings.features.events.kind import EventMessages
from tidings.features.events.models import Event, EventMessage, EventStatus
from tidings.features.events.scheduled_messages import NewMessage, ScheduledMessages, columns_of
from tidings.features.events.types import FACTS, priority_of
from tidings.features.events.wanted import Wanted
from tidings.fields import in_zone
from tidings.messages.changes import refuse, revive
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.statuses import LEFT, Reason, Status
from tidings.work import Unit

CHUNK = 1000
"""Values that one statement looks for."""

_FIELDS = {"event": "event_id", "contractor": "contractor_id", "event message": "id"}
_COMPARED = tuple(name for name in NewMessage._fields if name not in ("id", "session_key"))

Key = tuple[int, int, str, str]


async def put_messages(
    unit: Unit, wanted: list[Wanted], now: datetime, region: str, *, numbered: bool
) -> ScheduledMessages:
    """The rows of the wanted messages, in their order and scheduled. `region` is where phones without + are read.

    Takes the messages out of the list, so that not all of them are there twice. Raises InvalidInput, NotFound and
    Conflict; when `numbered`, these name the wanted message by its number, counted from 0, and what was not found is
    an InvalidInput, too.
    """
    events, people = await _look_up(unit.session, wanted)
    status = {"status": Status.SCHEDULED.value, "status_reason": Reason.BY_REQUEST.value, "attempts": 0}
    same = {**status, "created_at": now, "updated_at": now}
    rows: list[Any] = []
    stored: dict[int, Wanted] = {}  # those that a row stands for already, by their numbers
    while wanted:
        portion, first = wanted[:PORTION], len(rows)
        del wanted[:PORTION]
        new = sum(message.id is None for message in portion)
        ids = iter(await reserve_ids(unit.session, EventMessage, new))
        for number, message in enumerate(portion, start=first):
            try:
                event = _event_of(message, events, people)
                row_id = next(ids) if message.id is None else message.id
                rows.append(_row_of(row_id, message, event, region))
            except UserError as error:
                if numbered:
                    raise _numbered(error, number) from error
                raise
        unnamed = [row for row, message in zip(rows[first:], portion, strict=True) if message.id is None]
        added = await _add(unit.session, unnamed, same)
        if len(added) < len(portion):
            for number, message in enumerate(portion, start=first):
                if message.id is not None or rows[number].id not in added:
                    stored[number] = message
    if stored:
        own = frozenset(row.id for number, row in enumerate(rows) if number not in stored)
        requests = await _find(unit, stored.values(), now, own)
        for number, message in stored.items():
            try:
                rows[number] = requests.put(message, rows[number])
            except UserError as error:
                if numbered:
                    raise _numbered(error, number) from error
                raise
    unit.arm_many(
        EventMessages.new_job(row.id, row.scheduled_time, priority_of(row.message_type))
        for row in rows
        if type(row) is NewMessage
    )
    return ScheduledMessages(rows, same)


def require_not_cancelled(event: Event) -> None:
    """Raises Conflict for an event whose messages would be skipped."""
    if event.status == EventStatus.CANCELLED:
        raise Conflict(f"event {event.id} is cancelled, and none of its messages go out")


def _event_of(wanted: Wanted, events: Mapping[int, Event], people: frozenset[int]) -> Event:
    event = events.get(wanted.event_id)
    if event is None:
        raise NotFound("event", wanted.event_id)
    if wanted.contractor_id not in people:
        raise NotFound("contractor", wanted.contractor_id)
    require_not_cancelled(event)
    return event


def _row_of(row_id: int, wanted: Wanted, event: Event, region: str) -> NewMessage:
    return NewMessage(
        row_id,
        wanted.event_id,
        wanted.contractor_id,
        wanted.message_type,
        wanted.message_category or _CATEGORIES[wanted.message_type],
        wanted.key,
        to_milliseconds(in_zone(wanted.scheduled_time, event.timezone)),
        wanted.data,
        wanted.message_content,
        parse_phone(wanted.phone, region) if wanted.phone else None,
        wanted.channel,
        wanted.ghl_contact_id,
        wanted.ghl_location_id,
    )


async def _add(session: AsyncSession, rows: Sequence[NewMessage], same: Mapping[str, Any]) -> frozenset[int]:
    """Adds those of the rows that stand for a message which has none yet; returns their ids."""
    if not rows:
        return frozenset()
    ids = frozenset(row.id for row in rows)
    if await bulk_insert(session, EventMessage, columns_of(rows), same, skip_known=True) == len(rows):
        return ids
    return frozenset(
        await _select(ids, lambda some: session.scalars(select(EventMessage.id).where(EventMessage.id.in_(some))))
    )


@dataclass(frozen=True)
class _Requests:
    """Wanted messages that rows may stand for already, and those rows, locked beforehand.

    `added` are the ids of the rows that this unit has added.
    """

    unit: Unit
    by_id: Mapping[int, EventMessage]
    by_key: Mapping[Key, EventMessage]
    now: datetime
    added: frozenset[int]

    def put(self, wanted: Wanted, values: NewMessage) -> EventMessage:
        row = self._named(wanted) if wanted.id is not None else self.by_key[_key(wanted)]
        data = json.loads(values.personalization_data)
        changes = {**{name: getattr(values, name) for name in _COMPARED}, "personalization_data": data}
        if row.status != Status.SCHEDULED or any(getattr(row, name) != value for name, value in changes.items()):
            self._change(row, changes, named=wanted.id is not None)
        else:
            self.unit.arm(EventMessages.job(row))  # it may have been lost
        return row

    def _named(self, wanted: Wanted) -> EventMessage:
        assert wanted.id is not None
        row = self.by_id.get(wanted.id)
        if row is None or row.id in self.added:
            raise NotFound("event message", wanted.id)
        key = (wanted.event_id, wanted.contractor_id, wanted.message_type, wanted.session_key or row.session_key)
        if key != _key_of(row):
            about = f" and session {row.session_key!r}" if row.session_key else ""
            raise Conflict(
                f"message {row.id} is another one: the {row.message_type} of contractor {row.contractor_id} "
                f"for event {row.event_id}{about}"
            )
        return row

    def _change(self, row: EventMessage, values: Mapping[str, Any], *, named: bool) -> None:
        if named or row.status in (Status.CANCELLED, Status.SKIPPED):
            refuse(EventMessages, row, "scheduled again", *LEFT, Status.SENDING)
            for name, value in values.items():
                setattr(row, name, value)
            revive(self.unit, EventMessages, row, self.now)
            return
        which = "another one of these" if row.id in self.added else f"message {row.id}, {row.status}"
        raise Conflict(
            f"contractor {row.contractor_id} has a {row.message_type} for event {row.event_id} already: "
            f"{which}; reschedule or cancel that one"
        )


async def _look_up(session: AsyncSession, wanted: Sequence[Wanted]) -> tuple[dict[int, Event], frozenset[int]]:
    """The events that the messages are for, locked, and which of the people there are."""
    # Events before rows, and both in order of id, as everybody locks them: then nobody deadlocks.
    events = await _select(
        {message.event_id for message in wanted},
        lambda ids: session.scalars(
            select(Event).where(Event.id.in_(ids)).order_by(Event.id).with_for_update(key_share=True)
        ),
    )
    people = await _select(
        {message.contractor_id for message in wanted},
        lambda ids: session.scalars(
            select(Contractor.id).where(Contractor.id.in_(ids), Contractor.merged_into.is_(None))
        ),
    )
    return {event.id: event for event in events}, frozenset(people)


async def _find(unit: Unit, wanted: Collection[Wanted], now: datetime, added: frozenset[int]) -> _Requests:
    session = unit.session
    unnamed = await _select(
        {_key(message) for message in wanted if message.id is None},
        lambda keys: session.scalars(
            # The events once more by themselves: SQLite finds no index by a list of keys of several columns.
            select(EventMessage.id).where(EventMessage.event_id.in_({key[0] for key in keys}), _KEY.in_(keys))
        ),
    )
    rows = await _select(
        {*unnamed, *(message.id for message in wanted if message.id is not None)},
        lambda ids: session.scalars(
            select(EventMessage).where(EventMessage.id.in_(ids)).order_by(EventMessage.id).with_for_update()
        ),
    )
    by_id = {row.id: row for row in rows}
    return _Requests(unit, by_id, {_key_of(row): row for row in rows}, now, added)


async def _select(values: set[Any] | frozenset[Any], query: Callable[[Sequence[Any]], Any]) -> list[Any]:
    """What the query finds for all the values, asked in portions that every database takes."""
    ordered, found = sorted(values), []
    for start in range(0, len(ordered), CHUNK):
        found += (await query(ordered[start : start + CHUNK])).all()
    return found


_KEY = tuple_(EventMessage.event_id, EventMessage.contractor_id, EventMessage.message_type, EventMessage.session_key)
_CATEGORIES = {str(message_type): facts.category.value for message_type, facts in FACTS.items()}


def _key(wanted: Wanted) -> Key:
    return (wanted.event_id, wanted.contractor_id, wanted.message_type, wanted.key)


def _key_of(row: EventMessage) -> Key:
    return (row.event_id, row.contractor_id, row.message_type, row.session_key)


def _numbered(error: UserError, number: int) -> UserError:
    """The error, saying which of many messages it is about."""
    if isinstance(error, InvalidInput):
        return InvalidInput(f"{number}.{error.field}", error.message)
    if isinstance(error, NotFound):
        return InvalidInput(f"{number}.{_FIELDS[error.kind]}", str(error))
    return Conflict(f"{number}: {error}")
