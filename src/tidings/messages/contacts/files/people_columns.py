"""What the columns of a file are about, known by their names: in several languages, and as programs export them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache, cached_property

from tidings.errors import InvalidInput
from tidings.messages.contacts.files.tables import Line, csv_readings, read_table
from tidings.messages.contacts.files.text_files import OpenText
from tidings.messages.contacts.files.word_lists import read_list, read_lists
from tidings.messages.contacts.names import plain


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns` has a field's name, or None for a column without use, for every column."""

    columns: list[str | None]
    people: Iterator[Line]


@dataclass(frozen=True)
class Columns:
    """The columns that a file may have, by field, with the headers that mean them.

    Capitals, accents and signs of headers are not compared. `enough` says whether there is something to be had from a
    file with these fields, `wanted` what it needs.
    """

    headers: Mapping[str, Sequence[str]]
    enough: Callable[[Set[str]], bool]
    wanted: str

    @cached_property
    def fields(self) -> Mapping[str, str]:
        return {plain(header): name for name, headers in self.headers.items() for header in headers}

    def field(self, header: str) -> str | None:
        """What a column with this header is about; None: nothing that is of use."""
        return self.fields.get(plain(header))

    def count(self, titles: Sequence[str]) -> int:
        """How many of some cells are known headers; 0 when they are not enough."""
        found = [name for title in titles if (name := self.field(title)) is not None]
        return len(found) if self.enough(set(found)) else 0


def read_layout(open_text: OpenText, source: str, known: Columns) -> Layout:
    """A CSV file each of whose columns means something else. Its lines are read while they are asked for.

    Raises InvalidInput for two columns that mean the same, and what `read_table` raises.
    """
    table = read_table(csv_readings(open_text), source, known.count, known.wanted)
    columns = [known.field(title) for title in table.titles]
    for name in known.headers:
        same = [title for column, title in zip(columns, table.titles, strict=True) if column == name]
        if len(same) > 1:
            both = " and ".join(repr(title) for title in same)
            raise InvalidInput(source, f"the columns {both} mean the same, {name}; keep one of them")
    return Layout(columns, table.lines)


@dataclass(frozen=True, slots=True)
class Exporter:
    """A program whose files are known by `signatures`: sets of headers, all of one of which are there.

    `columns` are headers that mean something else than elsewhere, `statuses` its own words for them.
    """

    name: str
    signatures: tuple[frozenset[str], ...]
    columns: Mapping[str, str]
    statuses: Mapping[str, str]


@cache
def exporters() -> tuple[Exporter, ...]:
    """The programs whose exports are recognised."""
    return tuple(
        Exporter(
            row["name"],
            tuple(frozenset(map(plain, signature)) for signature in row["signatures"]),
            {plain(header): name for header, name in row.get("columns", {}).items()},
            {plain(word): status for word, status in row.get("statuses", {}).items()},
        )
        for row in read_list("exporters.toml")["exporter"]
    )


ADDRESSES = (
    *("mobile", "phone", "other_phone", "email", "other_email"),
    *("buyer_phone", "buyer_email"),
)


def _is_enough(found: Set[str]) -> bool:
    return not found.isdisjoint(ADDRESSES)


PEOPLE = Columns(
    read_lists("people_headers.toml"),
    _is_enough,
    "it needs a column phone or email",
)
