"""Messages that somebody asks for, read from what they gave and kept small: there may be a million of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from tidings.errors import InvalidInput
from tidings.feature import parse_many
from tidings.features.events.schemas import EventMessageIn

MOST = 1_000_000
"""Messages that one transaction takes."""

AT_ONCE = 1000
"""Messages that are read before others in the process have their turn."""


class Wanted(NamedTuple):
    """A message to schedule, as it was asked for; `scheduled_time` may be naive, `data` is JSON.

    `session_key` is the one that was given, `key` what tells the message from others of its type.
    """

    id: int | None
    event_id: int
    contractor_id: int
    message_type: str
    message_category: str | None
    scheduled_time: datetime
    session_key: str | None
    message_content: str | None
    phone: str | None
    channel: str
    ghl_contact_id: str | None
    ghl_location_id: str | None
    data: str
    key: str


_GIVEN: Callable[[EventMessageIn], tuple[Any, ...]] = attrgetter(*Wanted._fields[:-2])


def wanted_of(message: EventMessageIn) -> Wanted:
    """The message in its small form."""
    data, key = message.personalization_data, message.session_key
    if not data:
        return Wanted._make((*_GIVEN(message), "{}", key or ""))
    title = data.get("session_title")
    return Wanted._make((*_GIVEN(message), _to_json(data), key or (str(title)[:64] if title else "")))


async def read_wanted(messages: Iterable[EventMessageIn | Mapping[str, Any]]) -> list[Wanted]:
    """All the messages, in their order. Raises InvalidInput, whose field begins with the message's number from 0."""
    if isinstance(messages, Sized):
        _require_at_most(len(messages), f"these are {len(messages)}")
    wanted: list[Wanted] = []
    for portion in _portions(messages):
        wanted += [wanted_of(message) for message in parse_many(EventMessageIn, portion, first=len(wanted))]
        _require_at_most(len(wanted), "these are more")
        await asyncio.sleep(0)
    return wanted


def _require_at_most(count: int, these_are: str) -> None:
    if count > MOST:
        raise InvalidInput("", f"at most {MOST} messages at once, {these_are}")


def _portions(messages: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(messages)
    while portion := list(islice(rest, AT_ONCE)):
        yield portion


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
