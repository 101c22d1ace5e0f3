"""The sessions in a schedule.json: where they stand, what kind they are, and the keys they are known by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from tidings.errors import InvalidInput
from tidings.features.events.agenda.times import AgendaDay, end_of, start_of
from tidings.features.events.agenda.values import EXPORT, as_list, as_object, clean, cut, text_of
from tidings.features.events.models import SessionKind
from tidings.features.events.schemas import SessionIn

_KEY_LENGTH = 64

_BREAK = re.compile(
    r"\b(?:breaks?(?![- ]?(?:out|in|through|down)\b)|lunch|coffee|dinner|breakfast|(?:kaffee|mittags)?pause)\b",
    re.IGNORECASE,
)
_NETWORKING = re.compile(r"\b(?:networking|meet-?ups?|social|reception|party|get-?together)\b", re.IGNORECASE)


def sessions_of(day: dict[str, Any], path: str) -> Iterator[tuple[str, str, Any]]:
    """Path, room and content of each session. Rooms are an object of lists or a list of objects."""
    path = f"{path}.rooms"
    if "rooms" not in day:
        raise InvalidInput(path, f"is missing; {EXPORT}")
    rooms = day["rooms"] or {}
    if isinstance(rooms, dict):
        lists = [(f"{path}.{room}", room, entries) for room, entries in rooms.items()]
    else:
        lists = []
        for index, raw in enumerate(as_list(rooms, path)):
            at = f"{path}.{index}"
            room = as_object(raw, at)
            key = next((key for key in ("events", "talks", "sessions") if key in room), "events")
            lists.append((f"{at}.{key}", text_of(room, "name", at, 200) or "", room.get(key)))
    for at, name, entries in lists:
        for index, entry in enumerate(as_list(entries, at) if entries is not None else ()):
            yield f"{at}.{index}", name, entry


def read_session(
    raw: dict[str, Any], path: str, room_of_list: str, day: AgendaDay, keys: dict[str, int]
) -> SessionIn:
    """The session that `raw` describes; `keys` holds those of the sessions before it and takes its own."""
    start = start_of(raw, path, day)
    end = end_of(raw, path, day, start)
    room = text_of(raw, "room", path, 200) or cut(clean(room_of_list), 200) or None
    kind_name = text_of(raw, "type", path, 500)
    title = text_of(raw, "title", path, 500) or kind_name or "Untitled"
    speaker = _names(raw, "persons", path)
    try:
        return SessionIn(
            key=_key(raw, path, room, start, keys),
            kind=_kind(kind_name or "", title, speaker),
            title=title,
            speaker=speaker,
            sponsor=_names(raw, "sponsor", path),
            room=room,
            start_time=start,
            end_time=end,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(path, f"{first['loc'][0]} cannot be used: {first['msg']}") from error


def _kind(kind_name: str, title: str, speaker: str | None) -> SessionKind:
    """By the words of the type; the title's count only when nobody speaks, as in "How to break RSA"."""
    words = kind_name if speaker else f"{kind_name}\n{title}"
    if _BREAK.search(words):
        return SessionKind.BREAK
    return SessionKind.NETWORKING if _NETWORKING.search(words) else SessionKind.SESSION


def _key(raw: dict[str, Any], path: str, room: str | None, start: datetime, keys: dict[str, int]) -> str:
    """The guid, or else the id, or else room and start, shortened to 64 characters by a hash.

    A guid that comes again, as for a talk that is given twice, gets -2, -3 … in the file's order.
    """
    own = text_of(raw, "guid", path) or text_of(raw, "id", path) or f"{room or ''}@{start:%Y-%m-%dT%H:%MZ}"
    if len(own) > _KEY_LENGTH:
        own = f"{own[: _KEY_LENGTH - 17].rstrip()}-{hashlib.sha256(own.encode()).hexdigest()[:16]}"
    key = own
    while key in keys:
        keys[own] += 1
        suffix = f"-{keys[own]}"
        key = f"{own[: _KEY_LENGTH - len(suffix)].rstrip()}{suffix}"
    keys[key] = 1
    return key


def _names(raw: dict[str, Any], key: str, path: str) -> str | None:
    """The names in a list of persons or sponsors, or in a single one, joined by commas."""
    value = raw.get(key)
    names: list[str | None] = []
    for index, entry in enumerate(value if isinstance(value, list) else [value]):
        at = f"{path}.{key}.{index}"
        if isinstance(entry, dict):
            found = (text_of(entry, name, at) for name in ("public_name", "full_public_name", "name"))
            names.append(next((name for name in found if name), None))
        else:
            names.append(text_of({key: entry}, key, path))
    return cut(", ".join(dict.fromkeys(name for name in names if name)), 300) or None
