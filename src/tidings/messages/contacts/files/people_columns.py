"""The table in a CSV file about people: its text, the separator, what the columns are called, and its lines."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TextIO

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


@dataclass(frozen=True)
class Columns:
    """The columns that a file may have, by field, with the headers that mean them, in lower case and without signs.

    `enough` says whether there is something to be had from a file with these fields, `wanted` what it needs.
    """

    headers: Mapping[str, Sequence[str]]
    enough: Callable[[Set[str]], bool]
    wanted: str

    @cached_property
    def fields(self) -> Mapping[str, str]:
        return {header: name for name, headers in self.headers.items() for header in headers}

    def field(self, header: str) -> str | None:
        """What a column with this header is about; None: nothing that is of use."""
        return self.fields.get(" ".join(re.sub(r"[\s_./-]+", " ", header).split()).casefold())


PEOPLE = Columns(
    _HEADERS,
    lambda found: bool({"name", "first_name", "last_name"} & found) and bool({"phone", "email"} & found),
    "it needs a column name (or first name and last name) and a column phone or email",
)

OpenText = Callable[[], TextIO]
"""Opens a text once more from its beginning, with its line ends as they are."""


def read_layout(text: str | OpenText, source: str, known: Columns = PEOPLE) -> Layout:
    """The file under the delimiter that finds the most column names. Its lines are read while they are asked for."""
    open_text = partial(io.StringIO, text, newline="") if isinstance(text, str) else text
    best: tuple[int, Layout, list[str]] | None = None
    problems: list[BadRow] = []
    for delimiter in ",;\t":
        lines = _records(open_text, delimiter)
        header = next((line for line in lines if not _SEP_LINE.fullmatch(delimiter.join(line.cells).strip())), None)
        if header is None:
            raise InvalidInput(source, f"is empty; {known.wanted}")
        if header.problem:
            problems.append(BadRow(header.number, "quotes", header.problem))
            continue
        width = max(index for index, cell in enumerate(header.cells, start=1) if cell.strip())
        columns = [known.field(cell) for cell in header.cells[:width]]
        found = sum(name is not None for name in columns)
        if best is None or found > best[0]:
            best = found, Layout(columns, lines), header.cells[:width]
    if best is None:
        raise InvalidRows(source, problems[:1])
    _, layout, titles = best
    _check_columns(layout.columns, titles, source, known)
    return layout


def _check_columns(columns: list[str | None], titles: list[str], source: str, known: Columns) -> None:
    for name in known.headers:
        same = [title.strip() for column, title in zip(columns, titles, strict=True) if column == name]
        if len(same) > 1:
            both = " and ".join(repr(title) for title in same)
            raise InvalidInput(source, f"the columns {both} mean the same, {name}; keep one of them")
    if not known.enough({name for name in columns if name is not None}):
        shown = ", ".join(title.strip() for title in titles)[:200]
        sentence = f"its first line does not name the columns; {known.wanted}, but begins with {shown!r}"
        raise InvalidInput(source, sentence)


def _records(open_text: OpenText, delimiter: str) -> Iterator[Line]:
    """The records that hold anything. After one that cannot be read, nothing reliable follows."""
    with open_text() as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
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


def open_decoded(path: Path, source: str) -> OpenText:
    """The text of a file that may be larger than memory, in the encodings of `decode`. Raises InvalidInput."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK\x03\x04"):
        raise InvalidInput(source, "is a spreadsheet workbook; save it as CSV UTF-8")
    utf_16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if utf_16 else ("utf-8-sig", "cp1252"):
        try:
            with path.open(encoding=encoding, newline="") as lines:
                for number, line in enumerate(lines, start=1):
                    if "\0" in line:
                        raise InvalidInput(source, f"line {number} holds a NUL byte; save the file as CSV UTF-8")
        except UnicodeDecodeError:
            continue
        return partial(path.open, encoding=encoding, newline="")
    raise InvalidInput(source, "is neither UTF-8 nor Windows-1252; save it as CSV UTF-8")


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
