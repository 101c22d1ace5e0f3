"""Agendas from a schedule.json, the file that pretalx and frab export and the CCC's tools read.

The format is described by the schema at https://c3voc.de/schedule/schema.json; older exports, which know
neither `date` nor `time_zone_name`, are read too. Every error names the value by its path in the file.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import TypeAdapter, ValidationError

from tidings.errors import InvalidInput
from tidings.features.events.models import SessionKind
from tidings.features.events.schemas import SessionIn, Timezone

_ROOT = "schedule.conference"
_MOST_SESSIONS = 5000
_KEY_LENGTH = 64
_LONGEST = timedelta(days=31)
_DAY_CHANGE = time(4)  # pretalx begins its days then; the CCC ends them then
_EXPORT = "export it from pretalx or frab as JSON (frab compatible)"

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_HOURS = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?")
_DAYS = re.compile(r"([1-9]):([01]\d|2[0-3]):([0-5]\d)")
_BREAK = re.compile(
    r"\b(?:breaks?(?![- ]?(?:out|in|through|down)\b)|lunch|coffee|dinner|breakfast|(?:kaffee|mittags)?pause)\b",
    re.IGNORECASE,
)
_NETWORKING = re.compile(r"\b(?:networking|meet-?ups?|social|reception|party|get-?together)\b", re.IGNORECASE)
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
    acronym = _text(conference, "acronym", _ROOT, 200)
    name = _text(conference, "title", _ROOT, 200) or acronym
    if name is None:
        raise InvalidInput(f"{_ROOT}.title", "is missing; write the event's name")
    days: list[date] = []
    sessions: list[SessionIn] = []
    keys: dict[str, int] = {}
    for index, raw_day in enumerate(_list(conference.get("days"), f"{_ROOT}.days")):
        path = f"{_ROOT}.days.{index}"
        day = _day(_object(raw_day, path), path, ZoneInfo(timezone), conference)
        days.append(day.date)
        for at, room, raw in _entries(raw_day, path):
            sessions.append(_session(_object(raw, at), at, room, day, keys))
            if len(sessions) > _MOST_SESSIONS:
                raise InvalidInput(at, f"is one session too many; {_MOST_SESSIONS} are the most")
    first = min(days) if days else _date(conference.get("start"), f"{_ROOT}.start")
    return AgendaFile(
        name=name,
        slug=_slug(acronym or name) or f"event-{first}",
        timezone=timezone,
        date=first,
        location=_location(conference),
        sessions=sessions,
    )


# The file as a whole


def _conference(text: str | bytes, source: str) -> dict[str, Any]:
    try:
        content = json.loads(text.removeprefix("\ufeff") if isinstance(text, str) else text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(source, f"is not JSON at {where}: {error.msg}; {_EXPORT}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(source, f"is not UTF-8 text at byte {error.start}; {_EXPORT}") from error
    except (RecursionError, ValueError) as error:
        raise InvalidInput(source, f"is no schedule: too deeply nested, or numbers too long; {_EXPORT}") from error
    schedule = content.get("schedule") if isinstance(content, dict) else None
    if not isinstance(schedule, dict):
        raise InvalidInput(source, f'is not a schedule: it has no object "schedule"; {_EXPORT}')
    conference = schedule.get("conference")
    if not isinstance(conference, dict):
        raise InvalidInput(_ROOT, f"is missing or not an object; {_EXPORT}")
    return conference


def _timezone(raw: Any, fallback: str) -> str:
    """The IANA name. frab used to write the city alone, so Berlin is taken for Europe/Berlin."""
    path = f"{_ROOT}.time_zone_name" if raw else "fallback_timezone"
    name = raw or fallback
    if not isinstance(name, str):
        raise InvalidInput(path, f"{_shown(name)} is not an IANA timezone; write one like Europe/Berlin")
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
    parts = [_text(conference, key, _ROOT, 300) for key in ("location", "venue", "city")]
    return _cut(", ".join(dict.fromkeys(part for part in parts if part)), 300) or None


def _slug(text: str) -> str:
    """`text` within ^[a-z0-9][a-z0-9-]{0,99}$, or nothing when it has no Latin letter or digit."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100]


# Days and their clocks


@dataclass(frozen=True, slots=True)
class _Day:
    """A day of the agenda, which may last beyond midnight.

    Clock times before `change` belong to the next calendar day, unless that is past `end` (wall clock, naive).
    `zone` is where times without an offset are read.
    """

    date: date
    change: time
    end: datetime | None
    zone: tzinfo


def _day(raw: dict[str, Any], path: str, zone: tzinfo, conference: dict[str, Any]) -> _Day:
    start = _iso(raw["day_start"], f"{path}.day_start") if raw.get("day_start") else None
    end = _iso(raw["day_end"], f"{path}.day_end") if raw.get("day_end") else None
    if start is not None and start.tzinfo is not None and start.astimezone(zone).utcoffset() != start.utcoffset():
        zone = start.tzinfo  # the file's clocks do not hang in the zone that it names
    if start is None and conference.get("day_change"):
        change = _clock(conference["day_change"], f"{_ROOT}.day_change")
    else:
        change = _wall_clock(start, zone).time() if start is not None else _DAY_CHANGE
    return _Day(
        date=_date(raw.get("date"), f"{path}.date") if raw.get("date") or start is None else start.date(),
        change=change,
        end=_wall_clock(end, zone) if end is not None else None,
        zone=zone,
    )


def _wall_clock(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)


def _on_day(clock: time, day: _Day) -> datetime:
    moment = datetime.combine(day.date, clock)
    after_midnight = moment + timedelta(days=1)
    if clock < day.change and (day.end is None or after_midnight < day.end):
        moment = after_midnight
    return moment.replace(tzinfo=day.zone).astimezone(UTC)


def _moment(value: Any, path: str, day: _Day) -> datetime:
    """An ISO 8601 time, or a clock time of that day, in UTC."""
    if isinstance(value, str) and _CLOCK.fullmatch(value.strip()):
        return _on_day(_clock(value, path), day)
    moment = _iso(value, path)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=day.zone)).astimezone(UTC)


def _iso(value: Any, path: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError) as error:
        raise InvalidInput(path, f"{_shown(value)} is not a time; write 2026-05-01T09:00:00+02:00") from error
    _check_year(moment.year, path)
    return moment


def _clock(value: Any, path: str) -> time:
    match = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if match is not None:
            return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError:
        pass
    raise InvalidInput(path, f"{_shown(value)} is not a time of day; write HH:MM")


def _date(value: Any, path: str) -> date:
    try:
        day = datetime.fromisoformat(value.strip()).date()
    except (AttributeError, ValueError) as error:
        problem = "is missing" if value is None else f"{_shown(value)} is not a date"
        raise InvalidInput(path, f"{problem}; write it like 2026-05-01") from error
    _check_year(day.year, path)
    return day


def _check_year(year: int, path: str) -> None:
    if not 1970 < year < 2200:
        raise InvalidInput(path, f"the year {year} is too far from today to be meant; check it")


# Sessions


def _entries(day: dict[str, Any], path: str) -> Iterator[tuple[str, str, Any]]:
    """Path, room and content of each session. Rooms are an object of lists or a list of objects."""
    path = f"{path}.rooms"
    if "rooms" not in day:
        raise InvalidInput(path, f"is missing; {_EXPORT}")
    rooms = day["rooms"] or {}
    if isinstance(rooms, dict):
        lists = [(f"{path}.{room}", room, entries) for room, entries in rooms.items()]
    else:
        lists = []
        for index, raw in enumerate(_list(rooms, path)):
            room = _object(raw, f"{path}.{index}")
            key = next((key for key in ("events", "talks", "sessions") if key in room), "events")
            lists.append((f"{path}.{index}.{key}", _text(room, "name", f"{path}.{index}", 200) or "", room.get(key)))
    for at, name, entries in lists:
        for index, entry in enumerate(_list(entries, at) if entries is not None else ()):
            yield f"{at}.{index}", name, entry


def _session(raw: dict[str, Any], path: str, room_of_list: str, day: _Day, keys: dict[str, int]) -> SessionIn:
    start = _start(raw, path, day)
    end = _end(raw, path, day, start)
    room = _text(raw, "room", path, 200) or _cut(_clean(room_of_list), 200) or None
    kind_name = _text(raw, "type", path, 500)
    title = _text(raw, "title", path, 500) or kind_name or "Untitled"
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


def _start(raw: dict[str, Any], path: str, day: _Day) -> datetime:
    moment, clock = raw.get("date"), raw.get("start")
    if not moment and not clock:
        raise InvalidInput(f"{path}.date", "is missing; write the start like 2026-05-01T09:00:00+02:00")
    if isinstance(moment, str) and moment and ":" not in moment and "T" not in moment:
        day = replace(day, date=_date(moment, f"{path}.date"), change=time.min)
        moment = None
    return _moment(moment, f"{path}.date", day) if moment else _moment(clock, f"{path}.start", day)


def _end(raw: dict[str, Any], path: str, day: _Day, start: datetime) -> datetime:
    """`start` and the duration; without a duration, which the format is about to drop, the `end` itself."""
    at = f"{path}.duration"
    if raw.get("duration") in (None, "") and raw.get("end"):
        at = f"{path}.end"
        length = _moment(raw["end"], at, day) - start
        if length <= timedelta(0):
            raise InvalidInput(at, f"{_shown(raw['end'])} is not after the start; write when the session ends")
    else:
        length = _length(raw.get("duration"), at)
        if length == timedelta(0):
            raise InvalidInput(at, f"{_shown(raw['duration'])} is no time at all; write how long it lasts as HH:MM")
    if length > _LONGEST:
        raise InvalidInput(at, f"the session would last more than {_LONGEST.days} days; check it")
    return start + length


def _length(value: Any, path: str) -> timedelta:
    """A duration: H:MM, D:HH:MM as pretalx and others write whole days, H:MM:SS, or minutes.

    1:00:00 is a day (https://github.com/voc/schedule/issues/129); two digits in front, or none but 0, are hours.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return timedelta(minutes=min(value, 10**6))
    text = value.strip() if isinstance(value, str) else ""
    if (match := _DAYS.fullmatch(text)) is not None:
        return timedelta(days=int(match[1]), hours=int(match[2]), minutes=int(match[3]))
    if (match := _HOURS.fullmatch(text)) is not None:
        return timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=int(match[3] or 0))
    problem = "is missing" if value in (None, "") else f"{_shown(value)} is not a duration"
    raise InvalidInput(path, f"{problem}; write how long the session lasts as HH:MM")


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
    own = _text(raw, "guid", path) or _text(raw, "id", path) or f"{room or ''}@{start:%Y-%m-%dT%H:%MZ}"
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
            found = (_text(entry, name, at) for name in ("public_name", "full_public_name", "name"))
            names.append(next((name for name in found if name), None))
        else:
            names.append(_text({key: entry}, key, path))
    return _cut(", ".join(dict.fromkeys(name for name in names if name)), 300) or None


# Values


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(path, f"{_shown(value)} is not an object; {_EXPORT}")
    return value


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(path, f"is missing; {_EXPORT}" if value is None else f"{_shown(value)} is not a list")
    return value


def _text(holder: dict[str, Any], key: str, path: str, limit: int | None = None) -> str | None:
    """One line of text, or None when there is none; of a text in several languages, the English or the first."""
    value = holder.get(key)
    if isinstance(value, dict):
        value = value.get("en") or next(iter(value.values()), None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidInput(f"{path}.{key}", f"{_shown(value)} is not text")
    text = _clean(str(value))
    return (text if limit is None else _cut(text, limit)) or None


def _clean(text: str) -> str:
    """`text` on one line, without control characters and halves of characters, which no database stores."""
    return " ".join("".join(c for c in text if c.isspace() or unicodedata.category(c) not in {"Cc", "Cs"}).split())


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)[:60]
