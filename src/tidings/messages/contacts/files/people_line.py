"""One line of a file about people, read: who it is about, and what of it cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidings.errors import BadRow, InvalidInput
from tidings.messages.contacts.files.cells import Addresses, value_of
from tidings.messages.contacts.files.person import LIMITS, Person
from tidings.messages.contacts.files.recognition import Recognition
from tidings.messages.contacts.files.statuses import (
    Attendance,
    attendance_of,
    is_marked,
    is_no,
    is_yes,
    mail_state,
    stopped_channels,
    worst,
    yes_or_no,
)
from tidings.messages.contacts.files.tables import Line
from tidings.messages.contacts.names import plain
from tidings.messages.contacts.parsed_names import PersonName, name_of_parts, parse_name

_MOBILE_LABELS = frozenset(
    {"mobile", "cell", "cellular", "handy", "mobil", "movil", "celular", "portable", "iphone", "sms"}
)
_TOTAL = re.compile(
    r"(?:grand )?(?:totals?|sum|count|summe|gesamt|insgesamt|anzahl|suma|somme|soma|totalt|totale|antal)\b[\s:.\d,]*",
    re.IGNORECASE,
)
_STOPS = {"dnd": "*", "dnd_sms": "sms", "dnd_email": "email", "dnd_whatsapp": "whatsapp"}
_CONSENTS = {
    "sms_consent": ("sms",),
    "email_consent": ("email",),
    "whatsapp_consent": ("whatsapp",),
    "consent": ("sms", "email"),
}
_MARKS = {"is_cancelled": Attendance.CANCELLED, "is_waiting": Attendance.WAITING}
_LOST = "\N{REPLACEMENT CHARACTER}"


@dataclass(slots=True)
class ReadPerson:
    """What one line says; see `PeopleFile` for the fields. `person` None: nothing that can be used.

    `is_silent`: other lines have a status, and this one has none, as the second item of an order.
    """

    person: Person | None = None
    left_out: list[BadRow] = field(default_factory=list)
    dropped: list[BadRow] = field(default_factory=list)
    notes: list[BadRow] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    is_silent: bool = False


class LineReader:
    """Reads lines of a file whose columns were recognised. `statuses` are words that somebody has explained."""

    def __init__(self, region: str, columns: Recognition, statuses: Mapping[str, Attendance]) -> None:
        self._region = region
        self._columns = columns
        self._statuses = statuses
        self._own = columns.exporter.statuses if columns.exporter else {}
        self._places = {name: columns.places(name) for name in {*columns.columns} if name is not None}
        self._stop_columns = {name: channel for name, channel in _STOPS.items() if name in self._places}
        self._consent_columns = {name: channels for name, channels in _CONSENTS.items() if name in self._places}

    def read(self, line: Line) -> ReadPerson:
        """What a line says. Raises InvalidInput only for a region that there is not."""
        read = ReadPerson()
        if line.problem:
            read.left_out.append(BadRow(line.number, "quotes", line.problem))
            return read
        cells = self._cells(line, read)
        found = self._addresses(cells)
        phone = found.preferred_phone()
        email = next(iter(found.emails), None)
        if phone is None and email is None:
            self._leave_out(line, cells, found, read)
            return read
        read.dropped += [BadRow(line.number, name, sentence) for name, sentence in found.bad]
        read.notes += [BadRow(line.number, name, sentence) for name, sentence in found.notes]
        values = self._values(line, cells, read)
        name = self._name(line, cells, found, read)
        rest = tuple(one for one in (*found.phones, *found.emails) if one not in (phone, email))
        read.is_silent = "status" in self._places and not any(cell.strip() for _, cell in self._of(cells, "status"))
        read.person = Person(
            name=name.whole or "",
            first_name=name.first,
            last_name=name.last,
            phone=phone,
            email=email,
            addresses=rest,
            sessions=self._sessions(cells),
            attendance=self._attendance(cells, read),
            stops=self._stops(line, cells, read),
            consents=self._consents(line, cells, read),
            line=line.number,
            **values,
        )
        return read

    def _cells(self, line: Line, read: ReadPerson) -> list[str]:
        """As many cells as there are columns, without those in which a letter was lost."""
        width = len(self._columns.columns)
        cells = [*line.cells[:width], *[""] * (width - len(line.cells))]
        beyond = len(line.cells) if len(line.cells) > width and any(map(value_of, line.cells[width:])) else 0
        if beyond:
            read.dropped.append(
                BadRow(
                    line.number,
                    "columns",
                    f"there are {beyond} where the first line has {width}, and what is beyond is not read; "
                    "quote values that hold the separator",
                )
            )
        for place, cell in enumerate(cells):
            if _LOST in cell and (name := self._columns.columns[place]) is not None:
                cells[place] = ""
                read.dropped.append(
                    BadRow(line.number, name, f"holds {_LOST} where a letter was lost; write it again")
                )
        return cells

    def _of(self, cells: list[str], *names: str) -> list[tuple[int, str]]:
        """The cells that hold anything about some fields, with their columns."""
        places = (place for name in names if name in self._places for place in self._places[name])
        return [(place, cells[place]) for place in places if cells[place]]

    def _first(self, cells: list[str], name: str) -> str:
        if name not in self._places:
            return ""
        return next((value for _, cell in self._of(cells, name) if (value := value_of(cell))), "")

    def _addresses(self, cells: list[str]) -> Addresses:
        found = Addresses()
        phones = sorted(
            self._of(cells, "mobile", "phone", "other_phone"), key=lambda one: not self._is_mobile(one[0], cells)
        )
        for _, cell in phones:
            found.take_phones(cell, self._region)
        for _, cell in self._of(cells, "email", "other_email"):
            found.take_emails(cell)
        own = bool(found.phones or found.emails)
        if not found.emails:  # tickets without a mail address are the buyer's to hear of
            for _, cell in self._of(cells, "buyer_email"):
                found.take_emails(cell)
        if not own:
            for _, cell in self._of(cells, "buyer_phone"):
                found.take_phones(cell, self._region)
        return found

    def _is_mobile(self, place: int, cells: list[str]) -> bool:
        label = self._columns.labels.get(place)
        if self._columns.columns[place] == "mobile":
            return True
        return label is not None and not _MOBILE_LABELS.isdisjoint(plain(cells[label]).split())

    def _leave_out(self, line: Line, cells: list[str], found: Addresses, read: ReadPerson) -> None:
        start = next((cell.strip() for cell in cells if cell.strip()), "")
        if _TOTAL.fullmatch(start):
            read.notes.append(
                BadRow(line.number, "name", f"{start[:40]!r} is no person but a total, and was passed over")
            )
            return
        read.left_out += [BadRow(line.number, name, sentence) for name, sentence in found.bad]
        if not found.bad:
            read.left_out.append(
                BadRow(line.number, "phone", "is missing, and so is an email; one of them is needed")
            )
        read.left_out += read.dropped
        read.dropped = []

    def _name(self, line: Line, cells: list[str], found: Addresses, read: ReadPerson) -> PersonName:
        name = _named(self._first(cells, "name"), self._first(cells, "first_name"), self._first(cells, "last_name"))
        if name.whole is None and found.name:
            name = parse_name(found.name)
        if name.whole is None and self._of(cells, "buyer_name", "buyer_first_name", "buyer_last_name"):
            mails = [value_of(cell).lower() for _, cell in self._of(cells, "buyer_email")]
            if not found.emails or not mails or found.emails[0] in mails:
                buyer = [self._first(cells, f"buyer_{part}") for part in ("name", "first_name", "last_name")]
                name = _named(*buyer)
        parts = {"name": name.whole, "first_name": name.first, "last_name": name.last}
        for part, value in parts.items():
            if value is not None and len(value) > LIMITS[part]:
                self._too_long(line, part, value, read)
                return PersonName()
        return name

    def _values(self, line: Line, cells: list[str], read: ReadPerson) -> dict[str, str | None]:
        values: dict[str, str | None] = {}
        for name in ("company_name", "timezone", "ghl_contact_id", "ghl_location_id"):
            value = self._first(cells, name)
            if len(value) > LIMITS[name]:
                self._too_long(line, name, value, read)
            elif name == "timezone" and value and not _is_timezone(value):
                sentence = f"{value[:80]!r} is not an IANA timezone; write one like Europe/Berlin"
                read.dropped.append(BadRow(line.number, name, sentence))
            elif value:
                values[name] = value
        return values

    def _too_long(self, line: Line, name: str, value: str, read: ReadPerson) -> None:
        sentence = f"has {len(value)} characters; {LIMITS[name]} are the most"
        read.dropped.append(BadRow(line.number, name, sentence))

    def _sessions(self, cells: list[str]) -> tuple[str, ...]:
        told = (part for _, cell in self._of(cells, "sessions") for part in re.split(r"[;|\n]", cell))
        return tuple(dict.fromkeys(value for part in told if (value := value_of(part))))

    def _attendance(self, cells: list[str], read: ReadPerson) -> Attendance:
        found = Attendance.REGISTERED
        for _, cell in self._of(cells, "status"):
            said = attendance_of(" ".join(cell.split()), self._own, self._statuses)
            if said is Attendance.UNKNOWN:
                read.unknown.append(" ".join(cell.split())[:60])
            found = worst(found, said)
        if any(is_yes(cell) for _, cell in self._of(cells, "test")):
            found = worst(found, Attendance.CANCELLED)
        for name, said in _MARKS.items():
            if any(is_marked(cell) for _, cell in self._of(cells, name)):
                found = worst(found, said)
        for _, cell in self._of(cells, "is_confirmed"):
            said = Attendance.WAITING if is_no(cell) else attendance_of(cell, self._own, self._statuses)
            if said is not Attendance.UNKNOWN:  # a date or a sum
                found = worst(found, said)
        return found

    def _stops(self, line: Line, cells: list[str], read: ReadPerson) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, channel in self._stop_columns.items():
            for place, cell in self._of(cells, name):
                channels = stopped_channels(cell, channel)
                words = f"{self._columns.titles[place]}: {' '.join(cell.split())}"[:200]
                if channels is None:
                    channels = {channel}
                    read.notes.append(BadRow(line.number, name, f"{words!r} is taken for yes"))
                found |= dict.fromkeys(channels, words)
        for place, cell in self._of(cells, "email_status"):
            if mail_state(cell)[1]:
                found["email"] = f"{self._columns.titles[place]}: {' '.join(cell.split())}"[:200]
        for place, cell in self._of(cells, "status"):
            if attendance_of(cell, self._own, self._statuses) is Attendance.OPTED_OUT:
                found["*"] = f"{self._columns.titles[place]}: {' '.join(cell.split())}"[:200]
        return found

    def _consents(self, line: Line, cells: list[str], read: ReadPerson) -> dict[str, tuple[bool, str]]:
        found: dict[str, tuple[bool, str]] = {}
        for name, channels in self._consent_columns.items():
            for place, cell in self._of(cells, name):
                try:
                    said = yes_or_no(name, cell)
                except InvalidInput as error:
                    read.dropped.append(BadRow(line.number, name, error.message))
                    continue
                if said is not None:
                    found |= dict.fromkeys(channels, (said, self._columns.titles[place]))
        for place, cell in self._of(cells, "email_status"):
            if (said := mail_state(cell)[0]) is not None:
                found["email"] = (said, self._columns.titles[place])
        return found


def _named(whole: str, first: str, last: str) -> PersonName:
    """The name from its parts, or the parts from the whole, whichever is there."""
    if not first or not last:
        only = first or last
        if not whole and (only == last or " " in only or "," in only):
            return parse_name(only)  # where one column has the whole name: Nombre, Nom
    parts = name_of_parts(first or None, last or None)
    told = parse_name(whole) if whole else parts
    if parts.whole is None:
        return told
    return PersonName(told.whole or parts.whole, parts.first, parts.last)


@lru_cache(maxsize=256)
def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
