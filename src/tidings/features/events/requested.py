"""Messages that somebody asks for by name: the rows they stand for, added or scheduled again in a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.events.kind import alarm
from tidings.features.events.models import Event, EventMessage, EventStatus
from tidings.features.events.plan_changes import change_row
from tidings.features.events.schemas import EventMessageIn
from tidings.features.events.types import FACTS
from tidings.fields import in_zone
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
    desk = await _open_desk(unit.session, wanted, now, region)
    rows: list[EventMessage] = []
    for number, message in enumerate(wanted):
        with _numbering(number if numbered else None):
            rows.append(desk.put(message))
    unit.session.add_all(rows)
    await unit.session.flush()
    for row in dict.fromkeys(rows):
        unit.arm(alarm(row))
    return rows


def revive(row: EventMessage, values: Mapping[str, Any], now: datetime) -> None:
    """Schedules a locked row (again) because somebody asked for it, with fresh attempts. Its job is the caller's."""
    fresh = {"status": Status.SCHEDULED, "status_reason": Reason.BY_REQUEST, "error_message": None, "attempts": 0}
    change_row(row, {**values, **fresh}, now)


def refuse(row: EventMessage, verb: str, *statuses: Status) -> None:
    """Raises Conflict when the row has one of the statuses, in which it cannot be what the `verb` says."""
    if row.status in statuses:
        state = "is being sent right now" if row.status == Status.SENDING else f"is {row.status} already"
        raise Conflict(f"message {row.id} {state} and cannot be {verb}")


def require_not_cancelled(event: Event) -> None:
    """Raises Conflict for an event whose messages would be skipped."""
    if event.status == EventStatus.CANCELLED:
        raise Conflict(f"event {event.id} is cancelled, and none of its messages go out")


def session_key_of(message: EventMessageIn) -> str:
    """What tells this message from others of its type: its session's key, else the session's title."""
    title = message.personalization_data.get("session_title")
    return message.session_key or (str(title)[:64] if title else "")


@dataclass(frozen=True)
class _Desk:
    """Everything that is known about the wanted messages, looked up and locked beforehand."""

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
            self.by_key[_key(wanted)] = row
        elif row.status != Status.SCHEDULED or any(getattr(row, name) != value for name, value in values.items()):
            self._change(row, values, named=wanted.id is not None)
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
            refuse(row, "scheduled again", Status.SENT, Status.SENDING)
            revive(row, values, self.now)
            return
        which = "another one of these" if row.id is None else f"message {row.id}, {row.status}"
        raise Conflict(
            f"contractor {row.contractor_id} has a {row.message_type} for event {row.event_id} already: "
            f"{which}; reschedule or cancel that one"
        )


async def _open_desk(session: AsyncSession, wanted: Sequence[EventMessageIn], now: datetime, region: str) -> _Desk:
    # Events before rows, and both in order of id, as everybody locks them: then nobody deadlocks.
    events = await _select(
        {message.event_id for message in wanted},
        lambda ids: session.scalars(select(Event).where(Event.id.in_(ids)).order_by(Event.id).with_for_update()),
    )
    people = await _select(
        {message.contractor_id for message in wanted},
        lambda ids: session.scalars(select(Contractor.id).where(Contractor.id.in_(ids))),
    )
    unnamed = await _select(
        {_key(message) for message in wanted if message.id is None},
        lambda keys: session.scalars(select(EventMessage.id).where(_KEY.in_(keys))),
    )
    rows = await _select(
        {*unnamed, *(message.id for message in wanted if message.id is not None)},
        lambda ids: session.scalars(
            select(EventMessage).where(EventMessage.id.in_(ids)).order_by(EventMessage.id).with_for_update()
        ),
    )
    return _Desk(
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
