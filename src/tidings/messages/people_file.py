"""People from a CSV file (RFC 4180) as spreadsheets and CRMs export it.

Every bad line is found before anything is returned: an import is whole or does not happen.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from email_validator import EmailNotValidError, validate_email

from tidings.errors import BadRow, InvalidInput, InvalidRows
from tidings.messages.phones import DEFAULT_REGION, parse_phone

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

_HEADERS = {
    "name": ("name", "full name", "fullname", "display name", "contact name"),
    "first_name": ("first name", "firstname", "given name", "forename"),
    "last_name": ("last name", "lastname", "surname", "family name"),
    "phone": (
        *("phone", "phone number", "telephone", "telephone number", "tel"),
        *("mobile", "mobile number", "mobile phone", "cell", "cell phone"),
    ),
    "email": ("email", "e mail", "mail", "email address", "e mail address"),
    "company_name": ("company", "company name", "organisation", "organization", "business name"),
    "timezone": ("timezone", "time zone"),
    "ghl_contact_id": ("ghl contact id", "contact id"),
    "ghl_location_id": ("ghl location id", "location id"),
}
_FIELDS = {header: name for name, headers in _HEADERS.items() for header in headers}
_WANTED = "it needs a column name (or first name and last name) and a column phone or email"
_SEP_LINE = re.compile(r'"?sep=[,;\t]"?')
_FLOAT_PHONE = re.compile(r"(\d{7,15})\.0")


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the file. `phone` is E.164, `timezone` an IANA name; a phone or an email is always there."""

    name: str
    first_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    email: str | None = None
    company_name: str | None = None
    timezone: str | None = None
    ghl_contact_id: str | None = None
    ghl_location_id: str | None = None


def read_people(text: str | bytes, *, region: str = DEFAULT_REGION, source: str) -> list[Person]:
    """The people of a CSV file, in its order.

    The first line names the columns, in any order and case and under their usual names; columns with other
    names are left out. Commas, semicolons or tabs separate. Bytes are UTF-8, UTF-16 with a byte order mark, or
    else Windows-1252. Phone numbers without + are read in `region` (ISO 3166-1). `source` names the file.

    Raises InvalidRows with every unusable line (lines count from 1 and include the header), and InvalidInput
    when the file as a whole cannot be read: no text, empty, no header, two columns for one thing, or an
    unknown `region`.
    """
    layout = _layout(_decoded(text, source), source)
    reading = _Reading(region, layout.columns)
    for line in layout.people:
        reading.take(line)
    if reading.bad:
        raise InvalidRows(source, reading.bad)
    return reading.people


@dataclass(frozen=True, slots=True)
class _Line:
    """One record; `number` is the line it begins on, `problem` what the CSV reader said."""

    number: int
    cells: list[str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Layout:
    """`columns` has a field's name, or None for a column without use, for every column."""

    columns: list[str | None]
    people: Iterator[_Line]


@dataclass(slots=True)
class _Reading:
    """Collects people, bad rows, and where each phone and email was first seen."""

    region: str
    columns: list[str | None]
    people: list[Person] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    _first_seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, line: _Line) -> None:
        before = len(self.bad)
        person = self._person(line)
        if person is not None and len(self.bad) == before:
            self.people.append(person)

    def _person(self, line: _Line) -> Person | None:
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
        phone = self._phone(line, values)
        email = self._email(line, values)
        if "phone" not in values and "email" not in values:
            self._complain(line, "phone", "is missing, and so is an email; one of them is needed")
        names = _names(values)
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
        )

    def _phone(self, line: _Line, values: Mapping[str, str]) -> str | None:
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
        self._check_new(line, "phone", phone)
        return phone

    def _email(self, line: _Line, values: Mapping[str, str]) -> str | None:
        raw = values.get("email", "").removeprefix("'")
        if not raw:
            return None
        try:
            email = validate_email(raw, check_deliverability=False).normalized
        except EmailNotValidError as error:
            self._complain(line, "email", f"{raw[:80]!r} is not an email address: {error}")
            return None
        self._check_new(line, "email", email.casefold())
        return email

    def _check_timezone(self, line: _Line, name: str | None) -> None:
        if name is None:
            return
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._complain(line, "timezone", f"{name[:80]!r} is not an IANA timezone; write one like Europe/Berlin")

    def _check_new(self, line: _Line, name: str, value: str) -> None:
        first = self._first_seen.setdefault((name, value), line.number)
        if first != line.number:
            self._complain(line, name, f"{value} stands in line {first} already; keep one of the two")

    def _complain(self, line: _Line, name: str, message: str) -> None:
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


def _layout(text: str, source: str) -> _Layout:
    """The file under the delimiter that finds the most column names."""
    best: tuple[int, _Layout, list[str]] | None = None
    problems: list[BadRow] = []
    for delimiter in ",;\t":
        lines = _records(text, delimiter)
        header = next((line for line in lines if not _SEP_LINE.fullmatch(delimiter.join(line.cells).strip())), None)
        if header is None:
            raise InvalidInput(source, f"is empty; {_WANTED}")
        if header.problem:
            problems.append(BadRow(header.number, "quotes", header.problem))
            continue
        width = max(index for index, cell in enumerate(header.cells, start=1) if cell.strip())
        columns = [_field(cell) for cell in header.cells[:width]]
        found = sum(name is not None for name in columns)
        if best is None or found > best[0]:
            best = found, _Layout(columns, lines), header.cells[:width]
    if best is None:
        raise InvalidRows(source, problems[:1])
    _, layout, titles = best
    _check_columns(layout.columns, titles, source)
    return layout


def _field(header: str) -> str | None:
    return _FIELDS.get(" ".join(re.sub(r"[\s_./-]+", " ", header).split()).casefold())


def _check_columns(columns: list[str | None], titles: list[str], source: str) -> None:
    for name in _HEADERS:
        same = [title.strip() for column, title in zip(columns, titles, strict=True) if column == name]
        if len(same) > 1:
            both = " and ".join(repr(title) for title in same)
            raise InvalidInput(source, f"the columns {both} mean the same, {name}; keep one of them")
    if not {"name", "first_name", "last_name"} & set(columns) or not {"phone", "email"} & set(columns):
        shown = ", ".join(title.strip() for title in titles)[:200]
        raise InvalidInput(source, f"its first line does not name the columns; {_WANTED}, but begins with {shown!r}")


def _records(text: str, delimiter: str) -> Iterator[_Line]:
    """The records that hold anything. After one that cannot be read, nothing reliable follows."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Line(number, [], f"the line cannot be read: {error}; check its quotation marks")
            return
        if any(cell.strip() for cell in cells):
            yield _Line(number, cells)


def _decoded(text: str | bytes, source: str) -> str:
    decoded = text if isinstance(text, str) else _decoded_bytes(text, source)
    if "\0" in decoded:
        line = len(re.findall(r"\r\n?|\n", decoded[: decoded.index("\0")])) + 1
        raise InvalidInput(source, f"line {line} holds a NUL byte; save the file as CSV UTF-8")
    try:
        decoded.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(source, "holds half a character (a lone surrogate); save it as CSV UTF-8 again") from error
    return decoded.removeprefix("\ufeff")


def _decoded_bytes(data: bytes, source: str) -> str:
    if data.startswith(b"PK\x03\x04"):
        raise InvalidInput(source, "is a spreadsheet workbook; save it as CSV UTF-8")
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        # Text with whole UTF-8 characters in it is damaged UTF-8; as Windows-1252 its names would come out wrong.
        damaged = encoding == "utf-16" or not data.decode("utf-8", "ignore").isascii()
        if not damaged:
            try:
                return data.decode("cp1252")
            except UnicodeDecodeError as second:
                line = data[: second.start].count(b"\n") + 1
        raise InvalidInput(source, f"line {line} is neither UTF-8 nor Windows-1252; save it as CSV UTF-8") from error
