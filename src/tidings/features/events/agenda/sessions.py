"""The sessions of an agenda's file: what kind they are, who speaks, and the keys they are known by."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from pydantic import ValidationError

from tidings.errors import InvalidInput
from tidings.features.events.agenda.raw import Findings, RawSession
from tidings.features.events.agenda.times import AgendaDay, end_of, start_of
from tidings.features.events.agenda.values import clean, cut, text_of
from tidings.features.events.models import SessionKind
from tidings.features.events.schemas import FileSession

KEY_LENGTH = 64
ANONYMOUS = "@"
"""The origin of sessions that their file knows by nothing: neither guid nor id."""

_BREAK = re.compile(
    r"\b(?:breaks?(?![- ]?(?:out|in|through|down)\b)|lunch|coffee|dinner|breakfast|(?:kaffee|mittags)?pause)\b",
    re.IGNORECASE,
)
_NETWORKING = re.compile(r"\b(?:networking|meet-?ups?|social|reception|party|get-?together)\b", re.IGNORECASE)
_NOT_TO_COME = frozenset({"canceled", "cancelled", "withdrawn", "rejected", "deleted", "draft", "submitted"})


def read_session(raw: RawSession, day: AgendaDay, keys: dict[str, int], findings: Findings) -> FileSession:
    """The session that `raw` describes; `keys` holds those of the sessions before it and takes its own.

    A room, a person or a sponsor that cannot be read is noted and left out. Raises InvalidInput for the rest.
    """
    fields, path = raw.fields, raw.path
    for name in ("state", "status"):
        state = fields.get(name)
        if isinstance(state, str) and state.strip().lower() in _NOT_TO_COME:
            raise InvalidInput(f"{path}.{name}", f"is {state.strip().lower()}")
    kind_name = _noted(fields, "type", path, 500, findings)
    speaker = _names(fields, "persons", path, findings)
    title = _title(fields, path, kind_name, speaker)
    start, is_local = start_of(fields, path, day)
    end = end_of(fields, path, day, start)
    room = _noted(fields, "room", path, 200, findings) or cut(clean(raw.room), 200) or None
    origin = _origin(fields, path, findings)
    try:
        session = FileSession(
            origin=origin,
            is_local=is_local,
            kind=_kind(kind_name or "", title, speaker),
            title=title,
            speaker=speaker,
            sponsor=_names(fields, "sponsor", path, findings),
            room=room,
            start_time=start,
            end_time=end,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(path, f"{first['loc'][0]} cannot be used: {first['msg']}") from error
    place = f"{room or ''}@{start:%Y-%m-%dT%H:%MZ}"
    session.key = _key(_cut(place) if origin == ANONYMOUS else origin, keys)
    return session


def _title(fields: dict[str, Any], path: str, kind_name: str | None, speaker: str | None) -> str:
    """Its title. A break may be called by its type; what people are to hear or see needs a name."""
    title = text_of(fields, "title", path, 500)
    if title is None and kind_name and _kind(kind_name, "", speaker) is not SessionKind.SESSION:
        return kind_name
    if title is None:
        raise InvalidInput(f"{path}.title", "is missing; nobody can be told what it is")
    return title


def _noted(fields: dict[str, Any], key: str, path: str, limit: int, findings: Findings) -> str | None:
    """A text that a session can do without."""
    try:
        return text_of(fields, key, path, limit)
    except InvalidInput as error:
        findings.warn(error)
        return None


def _kind(kind_name: str, title: str, speaker: str | None) -> SessionKind:
    """By the words of the type; the title's count only when nobody speaks, as in "How to break RSA"."""
    words = kind_name if speaker else f"{kind_name}\n{title}"
    if _BREAK.search(words):
        return SessionKind.BREAK
    return SessionKind.NETWORKING if _NETWORKING.search(words) else SessionKind.SESSION


def _origin(fields: dict[str, Any], path: str, findings: Findings) -> str:
    """The guid, or else the id."""
    own = _noted(fields, "guid", path, 10_000, findings) or _noted(fields, "id", path, 10_000, findings)
    return _cut(own) if own else ANONYMOUS


def _cut(key: str) -> str:
    """The key shortened to 64 characters by a hash."""
    if len(key) <= KEY_LENGTH:
        return key
    return f"{key[: KEY_LENGTH - 17].rstrip()}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _key(origin: str, keys: dict[str, int]) -> str:
    """The guid, or place and time; one that comes again, as of a talk given twice, gets -2, -3 … in order."""
    key = origin
    while key in keys:
        keys[origin] += 1
        key = numbered(origin, keys[origin])
    keys[key] = 1
    return key


def numbered(origin: str, number: int) -> str:
    """The key of the session with this number among those of one origin."""
    suffix = f"-{number}"
    return f"{origin[: KEY_LENGTH - len(suffix)].rstrip()}{suffix}"


def _names(fields: dict[str, Any], key: str, path: str, findings: Findings) -> str | None:
    """The names in a list of persons or sponsors, or in a single one, joined by commas."""
    value = fields.get(key)
    names: list[str | None] = []
    for index, entry in enumerate(value if isinstance(value, list) else [value]):
        try:
            if isinstance(entry, dict):
                at = f"{path}.{key}.{index}"
                found = (text_of(entry, name, at) for name in ("public_name", "full_public_name", "name", "fullName"))
                names.append(next((name for name in found if name), None))
            else:
                names.append(text_of({key: entry}, key, path))
        except InvalidInput as error:
            findings.warn(error)
    return cut(", ".join(dict.fromkeys(name for name in names if name)), 300) or None
