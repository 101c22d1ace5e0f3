"""The table in a CSV file of people: its text, the separator, what the columns are called, and its lines."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidings.errors import BadRow, InvalidInput, InvalidRows

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


@dataclass(frozen=True, slots=True)
class Line:
    """One record; `number` is the line it begins on, `problem` what the CSV reader said."""

    number: int
    cells: list[str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns` has a field's name, or None for a column without use, for every column."""

    columns: list[str | None]
    people: Iterator[Line]


def read_layout(text: str, source: str) -> Layout:
    """The file under the delimiter that finds the most column names."""
    best: tuple[int, Layout, list[str]] | None = None
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
            best = found, Layout(columns, lines), header.cells[:width]
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


def _records(text: str, delimiter: str) -> Iterator[Line]:
    """The records that hold anything. After one that cannot be read, nothing reliable follows."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, [], f"the line cannot be read: {error}; check its quotation marks")
            return
        if any(cell.strip() for cell in cells):
            yield Line(number, cells)


def decode(text: str | bytes, source: str) -> str:
    """The text of the file, which holds nothing that a database cannot store."""
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
