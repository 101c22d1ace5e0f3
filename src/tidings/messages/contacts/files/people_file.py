"""People from a CSV file (RFC 4180) as spreadsheets and CRMs export it.

Every bad line is found before anything is returned: an import is whole or does not happen.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from email_validator import EmailNotValidError, validate_email

from tidings.errors import BadRow, InvalidInput, InvalidRows
from tidings.messages.contacts.files.people_columns import Line, decode, read_layout
from tidings.messages.contacts.names import Likeness, compare_names
from tidings.messages.contacts.numbers.phones import DEFAULT_REGION, parse_phone

LIMITS = {
    "name": 200,
    "first_name": 100,
    "last_name": 100,
    "email": 254,
    "company_name": 200,
    "timezone": 64,
    "ghl_contact_id": 64,
    "ghl_location_id": 64,
}
"""How many characters the columns of the contractors table hold."""

_FLOAT_PHONE = re.compile(r"(\d{7,15})\.0")


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the file. `phone` is E.164, `timezone` an IANA name; a phone or an email is always there.

    `line` is where it begins in the file, counted from 1; 0 for people of another origin.
    """

    name: str
    first_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    email: str | None = None
    company_name: str | None = None
    timezone: str | None = None
    ghl_contact_id: str | None = None
    ghl_location_id: str | None = None
    line: int = field(default=0, compare=False)


def read_people(text: str | bytes, *, region: str = DEFAULT_REGION, source: str) -> list[Person]:
    """The people of a CSV file, in its order.

    The first line names the columns, in any order and case and under their usual names; columns with other
    names are left out. Commas, semicolons or tabs separate. Bytes are UTF-8, UTF-16 with a byte order mark, or
    else Windows-1252. Phone numbers without + are read in `region` (ISO 3166-1). `source` names the file.

    Raises InvalidRows with every unusable line (lines count from 1 and include the header), and InvalidInput
    when the file as a whole cannot be read: no text, empty, no header, two columns for one thing, or an
    unknown `region`.
    """
    layout = read_layout(decode(text, source), source)
    collector = _Collector(region, layout.columns)
    for line in layout.people:
        collector.take(line)
    if collector.bad:
        raise InvalidRows(source, collector.bad)
    return collector.people


@dataclass(slots=True)
class _Collector:
    """Collects people, bad rows, and where each phone and email was first seen."""

    region: str
    columns: list[str | None]
    people: list[Person] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    _first_seen: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)

    def take(self, line: Line) -> None:
        before = len(self.bad)
        person = self._person(line)
        if person is not None and len(self.bad) == before:
            self.people.append(person)

    def _person(self, line: Line) -> Person | None:
        width = len(self.columns)
        cells = line.cells
        if line.problem:
            self._complain(line, "quotes", line.problem)
            return None
        if len(cells) < width or any(cell.strip() for cell in cells[width:]):
            hint = "fill it up with empty ones" if len(cells) < width else "quote values that hold the separator"
            self._complain(line, "columns", f"there are {len(cells)} where the first line has {width}; {hint}")
            return None
        values = {
            name: value
            for name, cell in zip(self.columns, cells, strict=False)
            if name is not None and (value := " ".join(cell.split()))
        }
        for name, value in values.items():
            if any(unicodedata.category(character) == "Cc" for character in value):
                self._complain(line, name, "holds a control character; delete it")
            if "\N{REPLACEMENT CHARACTER}" in value:
                self._complain(line, name, "holds \N{REPLACEMENT CHARACTER} where a letter was lost; write it again")
        names = _names(values)
        phone = self._phone(line, values, names["name"] or "")
        email = self._email(line, values, names["name"] or "")
        if "phone" not in values and "email" not in values:
            self._complain(line, "phone", "is missing, and so is an email; one of them is needed")
        if not names["name"]:
            self._complain(line, "name", "is missing")
        self._check_timezone(line, values.get("timezone"))
        rest = {name: values.get(name) for name in ("company_name", "timezone", "ghl_contact_id", "ghl_location_id")}
        for name, held in {**names, **rest}.items():
            if held is not None and len(held) > LIMITS[name]:
                self._complain(line, name, f"has {len(held)} characters; {LIMITS[name]} are the most")
        return Person(
            name=names["name"] or "",
            first_name=names["first_name"],
            last_name=names["last_name"],
            phone=phone,
            email=email,
            company_name=rest["company_name"],
            timezone=rest["timezone"],
            ghl_contact_id=rest["ghl_contact_id"],
            ghl_location_id=rest["ghl_location_id"],
            line=line.number,
        )

    def _phone(self, line: Line, values: Mapping[str, str], name: str) -> str | None:
        raw = values.get("phone", "").removeprefix("'")  # a spreadsheet's mark for "this is text"
        if not raw:
            return None
        if (as_float := _FLOAT_PHONE.fullmatch(raw)) is not None:
            raw = as_float[1]
        try:
            phone = parse_phone(raw, self.region)
        except InvalidInput as error:
            if error.field != "phone":
                raise
            self._complain(line, "phone", error.message)
            return None
        self._check_new(line, "phone", phone, name)
        return phone

    def _email(self, line: Line, values: Mapping[str, str], name: str) -> str | None:
        raw = values.get("email", "").removeprefix("'")
        if not raw:
            return None
        try:
            email = validate_email(raw, check_deliverability=False).normalized.lower()
        except EmailNotValidError as error:
            self._complain(line, "email", f"{raw[:80]!r} is not an email address: {error}")
            return None
        self._check_new(line, "email", email, name)
        return email

    def _check_timezone(self, line: Line, name: str | None) -> None:
        if name is None:
            return
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._complain(line, "timezone", f"{name[:80]!r} is not an IANA timezone; write one like Europe/Berlin")

    def _check_new(self, line: Line, column: str, value: str, name: str) -> None:
        """Complains of an address that stands there already, but for that of a relative: two names, one address."""
        seen = self._first_seen.setdefault((column, value), [])
        same = next((first for first, known in seen if compare_names(known, name) is not Likeness.CLASH), line.number)
        if same != line.number:
            self._complain(line, column, f"{value} stands in line {same} already; keep one of the two")
        seen.append((line.number, name))

    def _complain(self, line: Line, name: str, message: str) -> None:
        self.bad.append(BadRow(line.number, name, message))


def _names(values: Mapping[str, str]) -> dict[str, str | None]:
    """The whole name from its parts, or the parts from the whole: the first word and the others.

    A name with a comma is left in one piece; whether the surname or a title follows it, nobody knows.
    """
    name, first, last = values.get("name"), values.get("first_name"), values.get("last_name")
    if name is None:
        name = " ".join(part for part in (first, last) if part) or None
    elif first is None and last is None and "," not in name:
        head, _, tail = name.partition(" ")
        if max(len(head), len(tail)) <= LIMITS["first_name"]:
            first, last = head, tail or None
    return {"name": name, "first_name": first, "last_name": last}
