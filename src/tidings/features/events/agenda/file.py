"""Agendas from a schedule.json, the file that pretalx and frab export and the CCC's tools read.

The format is described by the schema at https://c3voc.de/schedule/schema.json; older exports, which know
neither `date` nor `time_zone_name`, are read too. Every error names the value by its path in the file.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import TypeAdapter, ValidationError

from tidings.errors import InvalidInput
from tidings.features.events.agenda.sessions import read_session, sessions_of
from tidings.features.events.agenda.times import read_date, read_day
from tidings.features.events.agenda.values import EXPORT, ROOT, as_list, as_object, cut, shown, text_of
from tidings.features.events.schemas import SessionIn
from tidings.fields import Timezone

_MOST_SESSIONS = 5000
_iana = TypeAdapter[str](Timezone)


@dataclass(frozen=True, slots=True)
class AgendaFile:
    """What a schedule.json says of an event, under the names of EventIn.

    `timezone` is an IANA name, `date` the first day there, and the sessions' times are UTC. `slug` is the
    conference's acronym with hyphens for whatever a slug cannot hold.
    """

    name: str
    slug: str
    timezone: str
    date: date
    location: str | None
    sessions: list[SessionIn]


def read_agenda(text: str | bytes, *, fallback_timezone: str = "UTC", source: str = "schedule.json") -> AgendaFile:
    """The event and the sessions of a schedule.json, in its order.

    A session's `date` with an offset is an instant, whatever `time_zone_name` says; without offset it is
    wall-clock time in that zone, or in `fallback_timezone` (IANA) when the file names none, unless the day's
    `day_start` carries another offset. Without `date`, `start` is a time of its day, and one before `day_start`
    comes after midnight. `duration` is H:MM or D:HH:MM, or a number of minutes.

    Raises InvalidInput with the path of a value that cannot be used, or `source` when it is no schedule.
    """
    conference = _conference(text, source)
    timezone = _timezone(conference.get("time_zone_name"), fallback_timezone)
    acronym = text_of(conference, "acronym", ROOT, 200)
    name = text_of(conference, "title", ROOT, 200) or acronym
    if name is None:
        raise InvalidInput(f"{ROOT}.title", "is missing; write the event's name")
    days: list[date] = []
    sessions: list[SessionIn] = []
    keys: dict[str, int] = {}
    for index, raw_day in enumerate(as_list(conference.get("days"), f"{ROOT}.days")):
        path = f"{ROOT}.days.{index}"
        day = read_day(as_object(raw_day, path), path, ZoneInfo(timezone), conference)
        days.append(day.date)
        for at, room, raw in sessions_of(raw_day, path):
            sessions.append(read_session(as_object(raw, at), at, room, day, keys))
            if len(sessions) > _MOST_SESSIONS:
                raise InvalidInput(at, f"is one session too many; {_MOST_SESSIONS} are the most")
    first = min(days) if days else read_date(conference.get("start"), f"{ROOT}.start")
    return AgendaFile(
        name=name,
        slug=_slug(acronym or name) or f"event-{first}",
        timezone=timezone,
        date=first,
        location=_location(conference),
        sessions=sessions,
    )


def _conference(text: str | bytes, source: str) -> dict[str, Any]:
    try:
        content = json.loads(text.removeprefix("\ufeff") if isinstance(text, str) else text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(source, f"is not JSON at {where}: {error.msg}; {EXPORT}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(source, f"is not UTF-8 text at byte {error.start}; {EXPORT}") from error
    except (RecursionError, ValueError) as error:
        raise InvalidInput(source, f"is no schedule: too deeply nested, or numbers too long; {EXPORT}") from error
    schedule = content.get("schedule") if isinstance(content, dict) else None
    if not isinstance(schedule, dict):
        raise InvalidInput(source, f'is not a schedule: it has no object "schedule"; {EXPORT}')
    conference = schedule.get("conference")
    if not isinstance(conference, dict):
        raise InvalidInput(ROOT, f"is missing or not an object; {EXPORT}")
    return conference


def _timezone(raw: Any, fallback: str) -> str:
    """The IANA name. frab used to write the city alone, so Berlin is taken for Europe/Berlin."""
    path = f"{ROOT}.time_zone_name" if raw else "fallback_timezone"
    name = raw or fallback
    if not isinstance(name, str):
        raise InvalidInput(path, f"{shown(name)} is not an IANA timezone; write one like Europe/Berlin")
    name = name.strip()
    try:
        return _iana.validate_python(name)
    except ValidationError as error:
        city = name.replace(" ", "_")
        zones = [zone for zone in available_timezones() if zone.rpartition("/")[2] == city]
        if len(zones) == 1:
            return zones[0]
        raise InvalidInput(path, f"{name[:80]!r} is not an IANA timezone; write one like Europe/Berlin") from error


def _location(conference: dict[str, Any]) -> str | None:
    parts = [text_of(conference, key, ROOT, 300) for key in ("location", "venue", "city")]
    return cut(", ".join(dict.fromkeys(part for part in parts if part)), 300) or None


def _slug(text: str) -> str:
    """`text` within ^[a-z0-9][a-z0-9-]{0,99}$, or nothing when it has no Latin letter or digit."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100]
