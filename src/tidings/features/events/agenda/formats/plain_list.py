"""A list of sessions without a standard: objects with a title, a start, and an end or a duration.

It may stand alone, or in an object (`{"sessions": […]}`), as Sessionize and many websites have it. Sessionize names
rooms and speakers by ids that stand beside the sessions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidings.errors import InvalidInput
from tidings.features.events.agenda.raw import Findings, RawAgenda, RawSession
from tidings.features.events.agenda.values import as_object

_LISTS = (
    "sessions",
    "talks",
    "events",
    "items",
    "entries",
    "agenda",
    "schedule",
    "program",
    "programme",
    "slots",
    "rooms",
    "days",
)
_NAMES: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "name", "summary", "subject", "session", "topic"),
    "guid": ("guid", "uuid", "uid", "key", "code"),
    "id": ("id", "session_id", "sessionid"),
    "day": ("date", "day", "start_date", "startdate"),
    "start": (
        *("start", "start_datetime", "startdatetime", "starts_at", "startsat", "start_at", "start_time", "starttime"),
        *("begin", "begins", "from", "time", "event_start"),
    ),
    "end": (
        *("end", "end_datetime", "enddatetime", "ends_at", "endsat", "end_at", "end_time", "endtime"),
        *("finish", "to", "until", "event_end"),
    ),
    "duration": ("duration", "length", "minutes", "duration_minutes", "durationminutes", "duration_min"),
    "room": ("room", "room_name", "roomname", "location", "place", "stage", "hall", "venue"),
    "persons": (
        "persons",
        "speakers",
        "speaker",
        "presenters",
        "presenter",
        "people",
        "participants",
        "host",
        "hosts",
    ),
    "type": ("type", "kind", "session_type", "category"),
    "sponsor": ("sponsor", "sponsors"),
    "state": ("state", "status"),
}
_DEEPEST = 3
_ROOM_ID = ("roomid", "room_id")
_CONFERENCE = {
    "title": ("title", "name", "event", "conference"),
    "acronym": ("acronym", "slug"),
    "time_zone_name": ("time_zone_name", "timezone", "time_zone", "tz"),
    "city": ("city",),
    "country": ("country",),
    "location": ("location", "venue"),
    "start": ("start", "date", "start_date", "startdate"),
}


def is_list(content: Any) -> bool:
    """Whether it has sessions: objects of which one has a title and a start."""
    return any(
        isinstance(entry, dict) and _value(entry, "title") is not None and _value(entry, "start") is not None
        for _, entry in _entries(content)
    )


def read(content: Any, findings: Findings) -> RawAgenda:
    """What stands in it."""
    outer = {key.lower(): value for key, value in content.items()} if isinstance(content, dict) else {}
    conference = {
        name: next((outer[key] for key in keys if key in outer), None) for name, keys in _CONFERENCE.items()
    }
    rooms, speakers = _by_id(outer.get("rooms")), _by_id(outer.get("speakers"))
    agenda = RawAgenda("", conference)
    for path, entry in _entries(content):
        try:
            agenda.sessions.append(RawSession(path, _session(as_object(entry, path), rooms, speakers)))
        except InvalidInput as error:
            findings.leave_out(error)
    return agenda


def _session(entry: dict[str, Any], rooms: Mapping[str, Any], speakers: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: _value(entry, name) for name in _NAMES}
    room_id = next((value for key, value in entry.items() if key.lower() in _ROOM_ID), None)
    if fields["room"] is None and room_id is not None:
        fields["room"] = rooms.get(str(room_id))
    persons = fields["persons"]
    if isinstance(persons, list):
        fields["persons"] = [
            speakers.get(person, person) if isinstance(person, str) else person for person in persons
        ]
    fields["date"] = fields.pop("day")
    return fields


def _value(entry: dict[str, Any], name: str) -> Any:
    known = {key.lower().replace(" ", "_"): value for key, value in entry.items()}
    return next((known[key] for key in _NAMES[name] if known.get(key) not in (None, "")), None)


def _by_id(listed: Any) -> dict[str, Any]:
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    names = ("fullName", "name", "public_name", "title")
    return {str(entry.get("id")): next((entry[name] for name in names if entry.get(name)), None) for entry in entries}


def _entries(content: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(content, list):
        groups = [group for group in content if isinstance(group, dict) and _is_group(group)]
        if groups and len(groups) == len(content) and depth < _DEEPEST:  # by day or by room, as Sessionize has them
            for number, group in enumerate(groups):
                yield from ((f"{number}.{path}", entry) for path, entry in _entries(group, depth + 1))
            return
        yield from ((str(index), entry) for index, entry in enumerate(content))
    elif isinstance(content, dict) and (found := _listed(content)) is not None:
        yield from ((f"{found[0]}.{path}", entry) for path, entry in _entries(found[1], depth))


def _is_group(content: dict[str, Any]) -> bool:
    """Whether it is a day or a room with its sessions: a session has a start, whatever lists it may have, too."""
    return _listed(content) is not None and _value(content, "start") is None


def _listed(content: dict[str, Any]) -> tuple[str, list[Any]] | None:
    """The list of sessions in an object, and what it is called there."""
    lists = {key.lower(): (key, value) for key, value in content.items() if isinstance(value, list)}
    return next((lists[name] for name in _LISTS if name in lists), None)
