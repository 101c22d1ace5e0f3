"""schedule.json, which pretalx and frab export and the CCC's tools read.

Version 1, https://c3voc.de/schedule/schema.json, has its sessions by day and room; version 2,
https://c3voc.de/schema/schedule2, has one list of `events` that end at their `end`. Older exports, which know neither
`date` nor `time_zone_name`, are read too, and those that leave out the object "schedule" around the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidings.errors import InvalidInput
from tidings.features.events.agenda.raw import Findings, RawAgenda, RawDay, RawSession
from tidings.features.events.agenda.values import EXPORT, ROOT, as_list, as_object, text_of

_ZONE_NAMES = ("time_zone_name", "timezone", "time_zone")
_IN_A_ROOM = ("events", "talks", "sessions")


def is_schedule(content: Any) -> bool:
    """Whether it is one, whole or damaged."""
    return isinstance(content, dict) and (
        isinstance(content.get("schedule"), dict)
        or isinstance(content.get("conference"), dict)
        or ("days" in content and ("title" in content or "acronym" in content))
    )


def read(content: dict[str, Any], findings: Findings) -> RawAgenda:
    """What stands in it. Raises InvalidInput when it has no conference or no days."""
    outer, path = content, ""
    if isinstance(content.get("schedule"), dict):
        outer, path = content["schedule"], "schedule."
    conference = outer.get("conference")
    if conference is None and "days" in outer:
        conference, path = outer, path.rstrip(".")
    elif isinstance(conference, dict):
        path += "conference"
    else:
        raise InvalidInput(ROOT, f"is missing or not an object; {EXPORT}")
    zone = next((conference[key] for key in _ZONE_NAMES if conference.get(key)), None)
    agenda = RawAgenda(path, {**conference, "time_zone_name": zone})
    events, days = outer.get("events", conference.get("events")), conference.get("days")
    if days and isinstance(days, dict):  # by their numbers or dates
        days = list(days.values())
    by_room = isinstance(days, list) and any(isinstance(day, dict) and day.get("rooms") for day in days)
    if isinstance(events, list) and not by_room:
        _read_events(agenda, events, path.removesuffix("conference") + "events", findings)
        return agenda
    for index, raw in enumerate(as_list(days, f"{path}.days")):
        at = f"{path}.days.{index}"
        try:
            day = RawDay(at, as_object(raw, at))
            if "rooms" not in day.fields:
                raise InvalidInput(f"{at}.rooms", f"is missing; {EXPORT}")
        except InvalidInput as error:
            findings.leave_out(error, {"title": f"day {index + 1}"})
            continue
        agenda.days.append(day)
        agenda.sessions += _of_day(day, findings)
    return agenda


def _of_day(day: RawDay, findings: Findings) -> Iterator[RawSession]:
    """The sessions of each room. Rooms are an object of lists or a list of objects."""
    path = f"{day.path}.rooms"
    for at, room, entries in _rooms(day.fields["rooms"] or {}, path, findings):
        try:
            listed = as_list(entries, at) if entries is not None else []
        except InvalidInput as error:
            findings.leave_out(error, {"title": f"room {room}"})
            continue
        for index, entry in enumerate(listed):
            place = f"{at}.{index}"
            try:
                yield RawSession(place, as_object(entry, place), day, room)
            except InvalidInput as error:
                findings.leave_out(error)


def _rooms(rooms: Any, path: str, findings: Findings) -> Iterator[tuple[str, str, Any]]:
    """Path, name and entries of each room."""
    if isinstance(rooms, dict):
        yield from ((f"{path}.{room}", room, entries) for room, entries in rooms.items())
        return
    try:
        listed = as_list(rooms, path)
    except InvalidInput as error:
        findings.leave_out(error, {"title": "rooms"})
        return
    for index, raw in enumerate(listed):
        at = f"{path}.{index}"
        try:
            room = as_object(raw, at)
            name = text_of(room, "name", at, 200) or ""
        except InvalidInput as error:
            findings.leave_out(error, {"title": f"room {index + 1}"})
            continue
        key = next((key for key in _IN_A_ROOM if key in room), _IN_A_ROOM[0])
        yield f"{at}.{key}", name, room.get(key)


def _read_events(agenda: RawAgenda, events: list[Any], path: str, findings: Findings) -> None:
    """The sessions of version 2, whose rooms may be told by their guids alone."""
    listed = agenda.conference.get("rooms")
    named = [room for room in listed if isinstance(room, dict)] if isinstance(listed, list) else []
    rooms = {room.get("guid"): text for room in named if isinstance(text := room.get("name"), str)}
    for index, raw in enumerate(events):
        at = f"{path}.{index}"
        try:
            fields = as_object(raw, at)
        except InvalidInput as error:
            findings.leave_out(error)
            continue
        if "persons" not in fields and "participants" in fields:
            fields = {**fields, "persons": fields["participants"]}
        room = fields.get("room")
        known = rooms.get(room.get("guid")) if isinstance(room, dict) and "name" not in room else None
        agenda.sessions.append(RawSession(at, fields, room=known or ""))
