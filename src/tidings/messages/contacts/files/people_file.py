"""People from the files that others export: CSV (RFC 4180) and spreadsheets, whoever wrote them.

What can be used of a line is, and what cannot is told with the line and what to change: an odd line leaves nobody
else out. Somebody who stands there twice is one person; a family with one phone is several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from tidings.errors import BadRow, InvalidInput, InvalidRows
from tidings.messages.contacts.files.people_line import LineReader
from tidings.messages.contacts.files.person import LIMITS, Person
from tidings.messages.contacts.files.recognition import Recognition, recognise
from tidings.messages.contacts.files.statuses import Attendance, best
from tidings.messages.contacts.files.tables import Line, Table, csv_readings, read_table
from tidings.messages.contacts.files.text_files import WORKBOOKS, open_text
from tidings.messages.contacts.files.workbooks import read_workbook
from tidings.messages.contacts.identity import Known, find_person
from tidings.messages.contacts.names import says_less
from tidings.messages.contacts.numbers.canonical import canonical_address
from tidings.messages.contacts.numbers.phones import DEFAULT_REGION

__all__ = ["LIMITS", "HowToRead", "PeopleFile", "Person", "read_people", "summary_of"]

_HINT = "; see --map"
_LOOKED_AT = 500
"""Lines among which words are looked for that tell what a column is about."""
WANTED = "it needs a column phone or email"


@dataclass(frozen=True, slots=True)
class HowToRead:
    """What a person says about a file. `columns` are fields by header, `statuses` words by what they mean.

    `encoding` is one of Python's names, `sheet` the name of a workbook's; None: found out, the first one.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, Attendance] = field(default_factory=dict)
    encoding: str | None = None
    sheet: str | None = None


@dataclass(slots=True)
class PeopleFile:
    """What was read. `people` are in the file's order; `left_out` are lines of which nothing can be used, `dropped`
    parts of lines, `notes` what was read in another way than it is written. `unused` are columns; `said` are
    sentences about the file as a whole, and `unknown` words for a status that nobody has explained, with how often.
    """

    people: list[Person] = field(default_factory=list)
    left_out: list[BadRow] = field(default_factory=list)
    dropped: list[BadRow] = field(default_factory=list)
    notes: list[BadRow] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    said_twice: int = 0
    exporter: str | None = None

    @property
    def bad(self) -> list[BadRow]:
        """Everything that cannot be used, in the file's order."""
        return sorted((*self.left_out, *self.dropped), key=lambda row: row.line)


def read_people(
    content: str | bytes | Path,
    *,
    region: str = DEFAULT_REGION,
    source: str,
    how: HowToRead | None = None,
    strict: bool = False,
) -> PeopleFile:
    """The people of a file. Its columns are known by their names, in any order and several languages, or by `how`.

    Phone numbers without + are read in `region` (ISO 3166-1). `source` names the file. Raises InvalidInput when the
    file as a whole cannot be read: empty, no header, an encoding that nobody can know, an unknown `region` or field.
    With `strict` anything that cannot be used raises InvalidRows, which has all of it.
    """
    how = how or HowToRead()
    result = PeopleFile()
    table = _open_table(content, source, how, result)
    first = list(islice(table.lines, _LOOKED_AT))
    table = Table(table.titles, chain(first, table.lines))
    recognised = recognise(table.titles, how.columns, [line.cells for line in first])
    result.unused, result.exporter = recognised.unused, recognised.exporter_name
    if recognised.exporter_name:
        result.said.append(f"read as an export of {recognised.exporter_name}")
    result.said += [
        f'the column {title!r} is read as a status; --map "{title}=ignore" if it is none'
        for title in recognised.guessed
    ]
    _Collector(result, LineReader(region, recognised, how.statuses), recognised).take_all(table)
    if strict and result.bad:
        raise InvalidRows(source, result.bad)
    return result


def _open_table(content: str | bytes | Path, source: str, how: HowToRead, result: PeopleFile) -> Table:
    enough = Recognition.counter(how.columns)
    data = content.read_bytes() if isinstance(content, Path) else content
    if isinstance(data, bytes) and data.startswith(WORKBOOKS):
        return _open_sheet(data, source, how.sheet, enough, result)
    file = open_text(data, source, how.encoding)
    if file.encoding is not None and file.encoding.note:
        result.said.append(file.encoding.note)
    return read_table(csv_readings(file.open), source, enough, WANTED, _HINT)


def _open_sheet(
    data: bytes, source: str, wanted: str | None, enough: Callable[[Sequence[str]], int], result: PeopleFile
) -> Table:
    """The sheet that is wanted, or else the first one whose columns are known."""
    book = read_workbook(data, source, wanted)
    try:
        table = read_table([lambda: iter(book.lines)], source, enough, WANTED, _HINT)
    except InvalidInput:
        for name in book.others if wanted is None else ():
            other = read_workbook(data, source, name)
            with suppress(InvalidInput):
                table = read_table([lambda lines=other.lines: iter(lines)], source, enough, WANTED)  # type: ignore[misc]
                result.said.append(f"read the sheet {name!r}, the first one whose columns are known")
                return table
        raise
    result.said += book.said
    return table


class _Collector:
    """Puts the lines about one person together; `by_address` are the places of people in the result."""

    def __init__(self, result: PeopleFile, reader: LineReader, recognised: Recognition) -> None:
        self._result = result
        self._reader = reader
        self._header = [title.casefold() for title in recognised.titles]
        self._by_address: dict[str, list[int]] = {}
        self._addresses: list[frozenset[str]] = []
        self._is_silent: list[bool] = []

    def take_all(self, table: Table) -> None:
        for line in table.lines:
            if [" ".join(cell.split()).casefold() for cell in line.cells[: len(self._header)]] != self._header:
                self._take(line)

    def _take(self, line: Line) -> None:
        read = self._reader.read(line)
        result = self._result
        result.left_out += read.left_out
        result.dropped += read.dropped
        result.notes += read.notes
        if read.person is None:
            return
        result.unknown.update(read.unknown)
        person = read.person
        addresses = frozenset(
            canonical_address(one) for one in (person.phone, person.email, *person.addresses) if one
        )
        places = sorted({place for one in addresses for place in self._by_address.get(one, ())})
        known = [Known(place, result.people[place].name, self._addresses[place]) for place in places]
        found = find_person(person.name, addresses, known)
        if found.rivals is not None:
            lines = " or ".join(str(result.people[place].line) for place in sorted(found.rivals))
            result.left_out.append(
                BadRow(line.number, "name", f"may be the person of line {lines}; keep one of them")
            )
            return
        if found.id is None:
            place = len(result.people)
            result.people.append(person)
            self._addresses.append(addresses)
            self._is_silent.append(read.is_silent)
        else:
            place = found.id
            result.said_twice += 1
            first = result.people[place]
            if read.is_silent:
                person = replace(person, attendance=first.attendance)
            elif self._is_silent[place]:
                first = replace(first, attendance=person.attendance)
            self._is_silent[place] &= read.is_silent
            result.people[place] = together(first, person)
            self._addresses[place] |= addresses
        for one in addresses:
            mine = self._by_address.setdefault(one, [])
            if place not in mine:
                mine.append(place)


def together(first: Person, again: Person) -> Person:
    """One person from two lines: what the first one says, completed by the other."""
    whose = again if says_less(first.name, again.name) else first
    phone, email = first.phone or again.phone, first.email or again.email
    rest = chain(first.addresses, again.addresses, (again.phone, again.email))
    return replace(
        first,
        name=whose.name,
        first_name=whose.first_name,
        last_name=whose.last_name,
        phone=phone,
        email=email,
        company_name=first.company_name or again.company_name,
        timezone=first.timezone or again.timezone,
        ghl_contact_id=first.ghl_contact_id or again.ghl_contact_id,
        ghl_location_id=first.ghl_location_id or again.ghl_location_id,
        addresses=tuple(dict.fromkeys(one for one in rest if one and one not in (phone, email))),
        sessions=_joined(first, again),
        attendance=best(first.attendance, again.attendance),
        stops={**again.stops, **first.stops},
        consents=_consents(first, again),
    )


def _joined(first: Person, again: Person) -> tuple[str, ...]:
    """The sessions of both; nothing stands for all of them, and so it does where one says nothing."""
    return tuple(dict.fromkeys((*first.sessions, *again.sessions))) if first.sessions and again.sessions else ()


def _consents(first: Person, again: Person) -> Mapping[str, tuple[bool, str]]:
    """What both say; where they differ, that nothing was agreed to."""
    refused = {channel: said for one in (again, first) for channel, said in one.consents.items() if not said[0]}
    return {**again.consents, **first.consents, **refused}


def summary_of(people: Sequence[Person]) -> Counter[Attendance]:
    """How many come, and how many do not, in which way."""
    return Counter(person.attendance for person in people)
