"""The table in a file: its lines, whatever separates their cells, and the line that names the columns."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TextIO

from tidings.errors import BadRow, InvalidInput, InvalidRows
from tidings.messages.contacts.files.text_files import OpenText

DELIMITERS = ",;\t|"
_BLANK = f"\0 \r\n{DELIMITERS}"
_LOOKED_AT = 40
"""Records among which the one with the columns' names is looked for: some programs write notes above it."""
_LINES_OF_A_RECORD = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One record; `number` is the line it begins on, `problem` what the CSV reader said."""

    number: int
    cells: list[str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The names of the columns, as they are written, and the records that follow, read while they are asked for."""

    titles: list[str]
    lines: Iterator[Line]


def read_table(
    readings: Sequence[Callable[[], Iterator[Line]]],
    source: str,
    enough: Callable[[Sequence[str]], int],
    wanted: str,
    hint: str = "",
) -> Table:
    """The file in the way of reading it that finds the most columns; `readings` are those there are.

    `enough` says how many of some cells are known names of columns, 0 when these do not suffice; `wanted` what does;
    `hint` ends the sentence about a file that names none.
    Raises InvalidInput, and InvalidRows where the quotation marks of the first line are wrong.
    """
    best: tuple[int, Table] | None = None
    first: list[str] | None = None
    problems: list[BadRow] = []
    for reading in readings:
        lines = reading()
        looked_at = list(islice(lines, _LOOKED_AT))
        for place, line in enumerate(looked_at):
            titles = _titles(line)
            if line.problem and not place:
                problems.append(BadRow(line.number, "quotes", line.problem))
            elif first is None or len(titles) > len(first):
                first = titles if not place else first
            if (found := enough(titles)) and (best is None or found > best[0]):
                best = found, Table(titles, chain(looked_at[place + 1 :], lines))
    if best is not None:
        return best[1]
    if first is not None:
        shown = ", ".join(first)[:200]
        raise InvalidInput(
            source, f"its first line does not name the columns; {wanted}, but begins with {shown!r}{hint}"
        )
    if problems:
        raise InvalidRows(source, problems[:1])
    raise InvalidInput(source, f"is empty; {wanted}")


def csv_readings(open_text: OpenText) -> list[Callable[[], Iterator[Line]]]:
    """The ways to read a CSV file (RFC 4180), one for each sign that may separate cells."""
    return [lambda sign=sign: _records(open_text, sign) for sign in DELIMITERS]  # type: ignore[misc]


def _titles(line: Line) -> list[str]:
    width = max((place for place, cell in enumerate(line.cells, start=1) if cell.strip()), default=0)
    return [" ".join(cell.split()) for cell in line.cells[:width]]


def _records(open_text: OpenText, delimiter: str) -> Iterator[Line]:
    """The records that hold anything. One that cannot be read is told, and the next line is a record again."""
    with open_text() as text:
        lines = _Lines(text)
        while True:
            number = lines.begin()
            try:
                cells = next(csv.reader(lines, delimiter=delimiter, strict=True))
            except StopIteration:
                return
            except csv.Error as error:
                lines.give_back()
                yield Line(number, [], f"the line cannot be read: {error}; check its quotation marks")
                continue
            if any(cell.strip(_BLANK) for cell in cells):
                yield Line(number, [cell.replace("\0", "") for cell in cells] if _holds_nul(cells) else cells)


def _holds_nul(cells: Sequence[str]) -> bool:
    return any("\0" in cell for cell in cells)


class _Lines:
    """The lines of a text, of which those after the first of a record can be given back."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._taken) == _LINES_OF_A_RECORD:
            raise csv.Error(f"a quotation mark is not closed within {_LINES_OF_A_RECORD} lines")
        line = self._waiting.popleft() if self._waiting else next(self._text)
        self._taken.append(line)
        self._number += 1
        return line

    def begin(self) -> int:
        """The number of the line on which the next record begins."""
        self._taken.clear()
        return self._number + 1

    def give_back(self) -> None:
        """The lines of the present record but its first one are to be read again."""
        again = self._taken[1:]
        self._waiting.extendleft(reversed(again))
        self._number -= len(again)
