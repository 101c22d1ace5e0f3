"""Messages that somebody asks for by name: the rows they stand for, added or scheduled again in a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_

from tidings.clock import to_milliseconds
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.events.kind import EventMessages
from tidings.features.events.models import Event, EventMessage, EventStatus
from tidings.features.events.schemas import EventMessageIn
from tidings.features.events.types import FACTS
from tidings.fields import in_zone
from tidings.messages.changes import refuse, revive
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.phones import parse_phone
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit

CHUNK = 1000

_FIELDS = {"event": "event_id", "contractor": "contractor_id", "event message": "id"}

Key = tuple[int, int, str, str]


async def put_messages(
    unit: Unit, wanted: Sequence[EventMessageIn], now: datetime, region: str, *, numbered: bool
) -> list[EventMessage]:
    """The rows of the wanted messages, in their order and scheduled. `region` is where phones without + are read.

    Raises InvalidInput, NotFound and Conflict; when `numbered`, these name the wanted message by its number,
    counted from 0, and what was not found is an InvalidInput, too.
    """
    requests = await _look_up(unit, wanted, now, region)
    rows: list[EventMessage] = []
    for number, message in enumerate(wanted):
        with _numbering(number if numbered else None):
            rows.append(requests.put(message))
    new = [row for row in dict.fromkeys(rows) if row.id is None]
    unit.session.add_all(new)
    await unit.session.flush()
    for row in new:
        unit.arm(EventMessages.job(row))
    return rows


def require_not_cancelled(event: Event) -> None:
    """Raises Conflict for an event whose messages would be skipped."""
    if event.status == EventStatus.CANCELLED:
        raise Conflict(f"event {event.id} is cancelled, and none of its messages go out")


def session_key_of(message: EventMessageIn) -> str:
    """What tells this message from others of its type: its session's key, else the session's title."""
    title = message.personalization_data.get("session_title")
    return message.session_key or (str(title)[:64] if title else "")


@dataclass(frozen=True)
class _Requests:
    """Wanted messages, and everything that is known about them, looked up and locked beforehand."""

    unit: Unit
    events: Mapping[int, Event]
    people: frozenset[int]
    by_id: Mapping[int, EventMessage]
    by_key: dict[Key, EventMessage]
    now: datetime
    region: str

    def put(self, wanted: EventMessageIn) -> EventMessage:
        event = self.events.get(wanted.event_id)
        if event is None:
            raise NotFound("event", wanted.event_id)
        if wanted.contractor_id not in self.people:
            raise NotFound("contractor", wanted.contractor_id)
        require_not_cancelled(event)
        row = self._named(wanted) if wanted.id is not None else self.by_key.get(_key(wanted))
        values = {
            **wanted.model_dump(exclude={"id", "session_key", "message_category", "scheduled_time"}),
            "message_category": wanted.message_category or FACTS[wanted.message_type].category,
            "session_key": row.session_key if row else session_key_of(wanted),
            "scheduled_time": to_milliseconds(in_zone(wanted.scheduled_time, event.timezone)),
            "phone": parse_phone(wanted.phone, self.region) if wanted.phone else None,
        }
        if row is None:
            times = {"created_at": self.now, "updated_at": self.now}
            row = EventMessage(**values, **times, status=Status.SCHEDULED, status_reason=Reason.BY_REQUEST)
            self.by_key[_key(wanted)] = row  # its job is armed when it has an id
        elif row.status != Status.SCHEDULED or any(getattr(row, name) != value for name, value in values.items()):
            self._change(row, values, named=wanted.id is not None)
        elif row.id is not None:
            self.unit.arm(EventMessages.job(row))  # it may have been lost
        return row

    def _named(self, wanted: EventMessageIn) -> EventMessage:
        assert wanted.id is not None
        row = self.by_id.get(wanted.id)
        if row is None:
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
            refuse(EventMessages, row, "scheduled again", Status.SENT, Status.SENDING)
            for name, value in values.items():
                setattr(row, name, value)
            revive(self.unit, EventMessages, row, self.now)
            return
        which = "another one of these" if row.id is None else f"message {row.id}, {row.status}"
        raise Conflict(
            f"contractor {row.contractor_id} has a {row.message_type} for event {row.event_id} already: "
            f"{which}; reschedule or cancel that one"
        )


async def _look_up(unit: Unit, wanted: Sequence[EventMessageIn], now: datetime, region: str) -> _Requests:
    session = unit.session
    # Events before rows, and both in order of id, as everybody locks them: then nobody deadlocks.
    events = await _select(
        {message.event_id for message in wanted},
        lambda ids: session.scalars(
            select(Event).where(Event.id.in_(ids)).order_by(Event.id).with_for_update(key_share=True)
        ),
    )
    people = await _select(
        {message.contractor_id for message in wanted},
        lambda ids: session.scalars(select(Contractor.id).where(Contractor.id.in_(ids))),
    )
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
    return _Requests(
        unit=unit,
        events={event.id: event for event in events},
        people=frozenset(people),
        by_id={row.id: row for row in rows},
        by_key={_key_of(row): row for row in rows},
        now=now,
        region=region,
    )


async def _select(values: set[Any], query: Callable[[Sequence[Any]], Any]) -> list[Any]:
    """What the query finds for all the values, asked in portions that every database takes."""
    ordered, found = sorted(values), []
    for start in range(0, len(ordered), CHUNK):
        found += (await query(ordered[start : start + CHUNK])).all()
    return found


_KEY = tuple_(EventMessage.event_id, EventMessage.contractor_id, EventMessage.message_type, EventMessage.session_key)


def _key(wanted: EventMessageIn) -> Key:
    return (wanted.event_id, wanted.contractor_id, wanted.message_type, session_key_of(wanted))


def _key_of(row: EventMessage) -> Key:
    return (row.event_id, row.contractor_id, row.message_type, row.session_key)


@contextmanager
def _numbering(number: int | None) -> Iterator[None]:
    """An error inside says which of many messages it is about."""
    try:
        yield
    except InvalidInput as error:
        if number is None:
            raise
        raise InvalidInput(f"{number}.{error.field}", error.message) from error
    except NotFound as error:
        if number is None:
            raise
        raise InvalidInput(f"{number}.{_FIELDS[error.kind]}", str(error)) from error
    except Conflict as error:
        if number is None:
            raise
        raise Conflict(f"{number}: {error}") from error
