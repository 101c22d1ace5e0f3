"""Which column of a file about people is about what: as its exporter names them, in several languages, or as told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidings.errors import InvalidInput
from tidings.messages.contacts.files.people_columns import ADDRESSES, PEOPLE, Exporter, exporters
from tidings.messages.contacts.files.statuses import tells_of_coming
from tidings.messages.contacts.names import plain
from tidings.validation import offer

IGNORE = "ignore"
FIELDS = (*PEOPLE.headers, IGNORE)
"""What a column may be about; `ignore`: nothing."""

_NUMBERED = re.compile(
    r"(e mail|email|mail|phone|mobile|telephone|tel)( address| number)? (\d)( value| address| number)?"
)
_LABEL = re.compile(r"(e mail|email|phone) (\d) (?:label|type)")
_IN_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_ASKED = re.compile(
    r"(?:(?:what is|what s|please enter|enter|wie ist|cual es|quel est|quelle est|vad ar|qual e) )?"
    r"(?:your|you|my|ihre?|deine?|tus?|sus?|votre|ton|din|ditt|seu|sua) "
)
"""How forms ask for it: What is your phone number?"""
_STATUS = frozenset((
    "status", "state", "statut", "estado", "estatus", "stato", "situacao", "situacion", "situation", "stan", "rsvp",
    "response", "reply", "antwort", "respuesta", "reponse", "svar", "resposta", "etat", "risposta",
))  # fmt: skip
"""What is in the titles of columns that may be about somebody's coming, beside those that surely are."""
_BESIDE = re.compile(r" (?:required|optional|pflichtfeld|obligatorio|obligatoire|obrigatorio)$")


@dataclass(frozen=True, slots=True)
class Recognition:
    """The columns of a file. `columns` has a field or None for each; `labels` says where a column has its kind:
    of the phone in column 3 the one in column 2 says whether it is a mobile. `guessed` are titles of columns that are
    taken for a status since their cells say so."""

    titles: Sequence[str]
    columns: Sequence[str | None]
    labels: Mapping[int, int]
    exporter: Exporter | None
    guessed: Sequence[str] = ()

    @property
    def exporter_name(self) -> str | None:
        return self.exporter.name if self.exporter else None

    @property
    def unused(self) -> list[str]:
        """Titles of columns of which nothing is taken."""
        used = {*self.labels.values()}
        return [
            title
            for place, (title, name) in enumerate(zip(self.titles, self.columns, strict=True))
            if title and name is None and place not in used
        ]

    def places(self, *names: str) -> list[int]:
        """Where the columns about some fields are: those of the first field first."""
        return [place for name in names for place, one in enumerate(self.columns) if one == name]

    @staticmethod
    def counter(told: Mapping[str, str]) -> Callable[[Sequence[str]], int]:
        """Counts the known columns among some cells, which have to tell an address."""

        def count(titles: Sequence[str]) -> int:
            names = [name for name in _fields(titles, _exporter_of(titles), told) if name is not None]
            return len(names) if not set(names).isdisjoint(ADDRESSES) else 0

        return count


def recognise(titles: Sequence[str], told: Mapping[str, str], lines: Sequence[Sequence[str]] = ()) -> Recognition:
    """What the columns with these titles are about; `told` are fields by title, `lines` cells of the first lines.

    Raises InvalidInput for a title that there is not, and a field that there is not.
    """
    known = {plain(title) for title in titles}
    for title, name in told.items():
        if plain(title) not in known:
            raise InvalidInput("map", f"there is no column {title!r}{offer(title, titles, taker='the file')}")
        if _field(name) not in FIELDS:
            raise InvalidInput("map", f"{name!r} is no field{offer(name, FIELDS, taker='--map')}")
    exporter = _exporter_of(titles)
    labels: dict[int, int] = {}
    for place, title in enumerate(titles):
        if label := _LABEL.fullmatch(plain(title)):
            value = f"{label[1]} {label[2]} value"
            labels |= {other: place for other, one in enumerate(titles) if plain(one) == value}
    columns = _fields(titles, exporter, told)
    guessed = [
        place for place, name in enumerate(columns) if name is None and _is_status(titles[place], place, lines)
    ]
    for place in guessed:
        columns[place] = "status"
    taken = [None if name == IGNORE else name for name in columns]
    return Recognition(list(titles), taken, labels, exporter, [titles[place] for place in guessed])


def _is_status(title: str, place: int, lines: Sequence[Sequence[str]]) -> bool:
    """Whether a column that is called some status or other tells of somebody's coming: an Estado may be a state."""
    if _STATUS.isdisjoint(plain(title).split()):
        return False
    return any(tells_of_coming(cells[place]) for cells in lines if place < len(cells))


def _exporter_of(titles: Sequence[str]) -> Exporter | None:
    """The one that is recognised by the most headers."""
    there = {plain(title) for title in titles}
    there |= {title.replace("e mail", "email") for title in there}
    fitting = [(len(signature), one) for one in exporters() for signature in one.signatures if signature <= there]
    return max(fitting, key=lambda found: found[0])[1] if fitting else None


def _fields(titles: Sequence[str], exporter: Exporter | None, told: Mapping[str, str]) -> list[str | None]:
    told = {plain(title): _field(name) for title, name in told.items()}
    own = exporter.columns if exporter else {}
    return [told.get(plain(title)) or _own(title, own) for title in titles]


def _own(title: str, own: Mapping[str, str]) -> str | None:
    header = plain(title)
    if header in own:
        return own[header] or IGNORE
    for bare in dict.fromkeys((header, _BESIDE.sub("", header), plain(_IN_BRACKETS.sub(" ", title)))):
        if (name := PEOPLE.field(bare) or PEOPLE.field(_ASKED.sub("", bare))) is not None:
            return name
        if numbered := _NUMBERED.fullmatch(bare):
            kind = "email" if "mail" in numbered[1] else "mobile" if numbered[1] == "mobile" else "phone"
            return kind if numbered[3] == "1" or kind == "mobile" else f"other_{kind}"
    return None


def _field(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())
