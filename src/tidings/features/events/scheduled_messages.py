"""Messages that were just scheduled, as rows that are made when they are looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, overload

from sqlalchemy.orm import make_transient_to_detached

from tidings.features.events.models import EventMessage


class NewMessage(NamedTuple):
    """What tells a new row from the others of its transaction, by the names of its columns; its data is JSON."""

    id: int
    event_id: int
    contractor_id: int
    message_type: str
    message_category: str
    session_key: str
    scheduled_time: datetime
    personalization_data: str
    message_content: str | None = None
    phone: str | None = None
    channel: str = "sms"
    ghl_contact_id: str | None = None
    ghl_location_id: str | None = None


def columns_of(rows: Sequence[NewMessage]) -> dict[str, Sequence[Any]]:
    """The rows by their columns, as they are added; there is at least one."""
    return dict(zip(NewMessage._fields, zip(*rows, strict=True), strict=True))


_BLANK = dict.fromkeys(column.name for column in EventMessage.__table__.columns)


class ScheduledMessages(Sequence[EventMessage]):
    """The rows of scheduled messages, in the order in which they were asked for.

    A million rows of the ORM do not fit beside the rest, so one is made each time that it is looked at. `same` are
    the columns that all the new ones share.
    """

    def __init__(self, rows: Sequence[NewMessage | EventMessage], same: Mapping[str, Any]) -> None:
        self._rows = rows
        self._same = same

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[EventMessage]:
        return map(self._row, self._rows)

    @overload
    def __getitem__(self, index: int) -> EventMessage: ...
    @overload
    def __getitem__(self, index: slice) -> list[EventMessage]: ...
    def __getitem__(self, index: int | slice) -> EventMessage | list[EventMessage]:
        if isinstance(index, slice):
            return [self._row(row) for row in self._rows[index]]
        return self._row(self._rows[index])

    def _row(self, row: NewMessage | EventMessage) -> EventMessage:
        if isinstance(row, EventMessage):
            return row
        data = {"personalization_data": json.loads(row.personalization_data)}
        made = EventMessage(**{**_BLANK, **self._same, **row._asdict(), **data})
        make_transient_to_detached(made)
        return made
