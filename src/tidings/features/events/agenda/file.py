"""Agendas from the files that others export, in whatever of the known formats (`formats/`).

What can be used of a file is read and the rest is listed, each with its reason: one odd entry refuses no agenda.
Every error names the value by its path in the file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from tidings.errors import InvalidInput
from tidings.features.events.agenda.raw import Findings, LeftOut, RawAgenda
from tidings.features.events.agenda.recognition import read_raw
from tidings.features.events.agenda.sessions import read_session
from tidings.features.events.agenda.times import AgendaDay, iso_time, no_day, read_date, read_day
from tidings.features.events.agenda.values import ROOT, cut, shown, text_of
from tidings.features.events.agenda.zone_finding import Hints, ZoneFound, find_zone
from tidings.features.events.agenda.zone_names import read_zone
from tidings.features.events.schemas import FileSession

_MOST_SESSIONS = 5000
_SAID = 3
_A_DATE = len("2027-05-01")


@dataclass(frozen=True, slots=True)
class AgendaFile:
    """What a file says of an event, under the names of EventIn.

    `timezone` is an IANA name, `date` the first day there, and the sessions' times are UTC. `slug` is the
    conference's acronym with hyphens for whatever a slug cannot hold. `left_out` are the sessions that cannot be
    used, `warnings` what somebody should look at, `zone` how the timezone is known.
    """

    name: str
    slug: str
    timezone: str
    date: date
    location: str | None
    sessions: list[FileSession]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]
    zone: ZoneFound


def read_agenda(
    content: str | bytes,
    *,
    timezone: str | None = None,
    fallback_timezone: str | None = None,
    name: str | None = None,
    strict: bool = False,
    source: str = "schedule.json",
) -> AgendaFile:
    """The event and the sessions of a file, in its order.

    `timezone` is the event's, whatever the file says; without it see `OpenedAgenda.zone`. A session's `date` with an
    offset is an instant; without offset it is wall-clock time in that zone, unless the day's `day_start` carries
    another offset. Without `date`, `start` is a time of its day, and one before `day_start` comes after midnight.

    Raises InvalidInput when nothing of it can be used, with `strict` when anything cannot be, and when nothing tells
    the timezone.
    """
    opened = open_agenda(content, name=name, strict=strict, source=source)
    return opened.read(opened.zone(timezone=timezone, fallback_timezone=fallback_timezone))


def open_agenda(
    content: str | bytes, *, name: str | None = None, strict: bool = False, source: str = "schedule.json"
) -> OpenedAgenda:
    """The agenda in a file, whose timezone is still to be told. Raises InvalidInput when there is none."""
    findings = Findings(strict)
    return OpenedAgenda(read_raw(content, findings, source), findings, source, name)


class OpenedAgenda:
    """A file whose event is known and whose times are not yet read. `slug` is None where it has no name."""

    def __init__(self, raw: RawAgenda, findings: Findings, source: str, name: str | None) -> None:
        self._raw = raw
        self._findings = findings
        self._source = source
        acronym = self._text("acronym", 200)
        self._name = name or self._text("title", 200) or acronym
        parts = [self._text(key, 300) for key in ("location", "venue", "city")]
        self._location = cut(", ".join(dict.fromkeys(part for part in parts if part)), 300) or None
        self.slug = _slug((None if name else acronym) or self._name or "") or self._dated()
        if len(raw.sessions) > _MOST_SESSIONS:
            at = raw.sessions[_MOST_SESSIONS].path
            raise InvalidInput(at, f"is one session too many; {_MOST_SESSIONS} are the most")

    def _dated(self) -> str | None:
        """What is called by its first day, as it has no name in Latin letters; None where days are not told."""
        days = []
        for day in self._raw.days:
            with suppress(InvalidInput):
                days.append(read_date(day.fields.get("date"), ""))
        return f"event-{min(days)}" if days and self._name else None

    def zone(
        self, *, timezone: str | None = None, stored: str | None = None, fallback_timezone: str | None = None
    ) -> ZoneFound:
        """The event's timezone: `timezone` that somebody told, else that of the `stored` event, else the file's name
        of it, else the one that all its offsets fit; of several, `fallback_timezone` (if somebody has set it) or the
        likeliest. Raises InvalidInput when `timezone` is none.
        """
        moments = list(self._moments())
        found = self._named_zone(timezone, stored)
        if found is None:
            named = self._raw.conference.get("time_zone_name")
            unnamed = f"{shown(named)} is no timezone that is known" if named else "the file names no timezone"
            found = find_zone(moments, self._hints(), fallback_timezone, unnamed)
        if found.zone is not None and not found.candidates:
            self._compare(found.zone, moments)
        return found

    def _named_zone(self, told: str | None, stored: str | None) -> ZoneFound | None:
        if told is not None:
            try:
                return ZoneFound(read_zone(told), "as you said")
            except ValueError as error:
                raise InvalidInput("timezone", str(error)) from error
        named, path = self._raw.conference.get("time_zone_name"), f"{self._raw.path or self._source}.time_zone_name"
        zone = None
        if named:
            try:
                zone = read_zone(named)
            except ValueError as error:
                self._findings.warn(InvalidInput(path, str(error)))
        if stored is not None:
            if zone is not None and zone != stored:
                self._findings.say(f"the file is in {zone}, the event stays in {stored}; --timezone {zone} moves it")
            return ZoneFound(stored, "the event's")
        if zone is None:
            return None
        as_written = isinstance(named, str) and named.strip() == zone
        return ZoneFound(zone, "named in the file" if as_written else f"named {shown(named)} in the file")

    def _compare(self, zone: str, moments: list[datetime]) -> None:
        place = ZoneInfo(zone)
        others = {f"{m:%z}" for m in moments if m.utcoffset() and m.astimezone(place).utcoffset() != m.utcoffset()}
        if others:
            offsets = " and ".join(sorted(f"{offset[:3]}:{offset[3:5]}" for offset in others))
            self._findings.say(
                f"times of the file are at {offsets}, which {zone} does not have then; they stay the same moments, "
                "and texts show them by its clocks"
            )

    def read(self, zone: ZoneFound, name: str | None = None) -> AgendaFile:
        """The event and its sessions, with times in `zone`. `name` is the event's where the file has none.

        Raises InvalidInput when the zone is not known, the event has no name, or no session can be used.
        """
        if zone.zone is None:
            which = f"; it may be {' or '.join(zone.candidates[:_SAID])}" if zone.candidates else ""
            where = "say where it is, like --timezone Europe/Berlin"
            raise InvalidInput(self._source, f"{zone.why}{which}; {where}")
        name = self._name or name
        if name is None:
            if self._raw.path:
                raise InvalidInput(
                    f"{self._raw.path}.title", "is missing; write the event's name, or say it with --name"
                )
            raise InvalidInput(self._source, "is missing its event's name; say it with --name")
        findings = Findings(self._findings.strict, list(self._findings.left_out), list(self._findings.warnings))
        days = {day.path: read_day(day, ZoneInfo(zone.zone), self._raw, findings) for day in self._raw.days}
        sessions = self._sessions(ZoneInfo(zone.zone), days, findings)
        if findings.left_out and not sessions:
            raise _nothing_left(self._source, findings.left_out)
        first = self._first_day(zone.zone, days, sessions)
        return AgendaFile(
            name=name,
            slug=self.slug or f"event-{first}",
            timezone=zone.zone,
            date=first,
            location=self._location,
            sessions=sessions,
            left_out=tuple(findings.left_out),
            warnings=tuple(findings.warnings),
            zone=zone,
        )

    def _sessions(self, zone: ZoneInfo, days: dict[str, AgendaDay], findings: Findings) -> list[FileSession]:
        keys: dict[str, int] = {}
        sessions: list[FileSession] = []
        for raw in self._raw.sessions:
            day = days[raw.day.path] if raw.day is not None else no_day(zone)
            try:
                sessions.append(read_session(raw, day, keys, findings))
            except InvalidInput as error:
                findings.leave_out(error, raw.fields)
        return sessions

    def _first_day(self, zone: str, days: dict[str, AgendaDay], sessions: list[FileSession]) -> date:
        """The earliest of its days, or else that of the first session, or when the conference begins."""
        told = [day.date for day in days.values() if day.date is not None]
        if told:
            return min(told)
        if sessions:
            return min(session.start_time for session in sessions).astimezone(ZoneInfo(zone)).date()
        return read_date(self._raw.conference.get("start"), f"{self._raw.path}.start".lstrip("."))

    def _moments(self) -> Iterator[datetime]:
        """Every time in the file that has an offset."""
        values = [self._raw.conference.get(key) for key in ("start", "end")]
        values += [day.fields.get(key) for day in self._raw.days for key in ("day_start", "day_end")]
        values += [raw.fields.get(key) for raw in self._raw.sessions for key in ("date", "start", "end")]
        for value in values:
            if isinstance(value, str) and len(value) > _A_DATE and ":" in value:
                with suppress(InvalidInput):
                    moment = iso_time(value, "")
                    if moment.tzinfo is not None:
                        yield moment

    def _hints(self) -> Hints:
        places = [self._text(key, 300) for key in ("city", "location", "venue")]
        parts = [part.strip() for place in places if place for part in (place, *re.split(r"[,;/()]", place))]
        return Hints(self._text("country", 100), tuple(dict.fromkeys(part for part in parts if part)))

    def _text(self, key: str, limit: int) -> str | None:
        try:
            return text_of(self._raw.conference, key, self._raw.path or ROOT, limit)
        except InvalidInput as error:
            self._findings.warn(error)
            return None


def _nothing_left(source: str, left_out: list[LeftOut]) -> InvalidInput:
    said = "; ".join(f"{entry.title!r} ({entry.path}): {entry.reason}" for entry in left_out[:_SAID])
    more = f"; and {len(left_out) - _SAID} more" if len(left_out) > _SAID else ""
    return InvalidInput(source, f"no session of it can be used: {said}{more}")


def _slug(text: str) -> str:
    """`text` within ^[a-z0-9][a-z0-9-]{0,99}$, or nothing when it has no Latin letter or digit."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100]
