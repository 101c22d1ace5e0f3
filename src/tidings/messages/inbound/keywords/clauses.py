"""A text cut into clauses of plain words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from tidings.messages.inbound.keywords.folding import fold

_BREAK = re.compile(r"[.!?¿¡,;:…。！？、،؟؛，·\n\r|()।]+|\s[-–—~*/]+\s|[–—]")
_JOINED = {
    ("opt", "out"): "optout",
    ("opt", "in"): "optin",
    ("un", "subscribe"): "unsubscribe",
    ("un", "subscribed"): "unsubscribed",
    ("un", "stop"): "unstop",
    ("re", "subscribe"): "resubscribe",
    ("don", "t"): "dont",
    ("isn", "t"): "isnt",
    ("do", "nt"): "dont",
}
_ASKING = frozenset("?？؟")
_FEWEST_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Clause:
    """Folded words without punctuation; `asked` when a question mark ends them. ``don't`` is ``dont``."""

    words: tuple[str, ...]
    asked: bool = False

    def __str__(self) -> str:
        return " ".join(self.words)


def clauses_of(text: str) -> list[Clause]:
    """The clauses of a text, empty ones left out."""
    folded = fold(text).replace("wrong #", "wrong number ")
    clauses = []
    began = 0
    for found in [*_BREAK.finditer(folded), None]:
        ended = found.start() if found else len(folded)
        words = "".join(c if _is_of_word(c) else " " for c in folded[began:ended]).split()
        if words:
            clauses.append(Clause(_joined(words), bool(found and _ASKING & set(found[0]))))
        began = found.end() if found else ended
    return _spelled_out(clauses)


def _is_of_word(c: str) -> bool:
    return c.isalnum() or c in "@$" or (not c.isascii() and unicodedata.category(c).startswith("M"))


def _joined(parts: list[str]) -> tuple[str, ...]:
    joined: list[str] = []
    for part in parts:
        both = _JOINED.get((joined[-1], part)) if joined else None
        if both is None:
            joined.append(part)
        else:
            joined[-1] = both
    return tuple(joined)


def _spelled_out(clauses: list[Clause]) -> list[Clause]:
    """``S.T.O.P.`` and ``s t o p please`` with the letters of a word together."""
    if not any(len(word) == 1 for clause in clauses for word in clause.words):
        return clauses
    if all(len(word) == 1 for clause in clauses for word in clause.words):
        letters = "".join(word for clause in clauses for word in clause.words)
        return [Clause((letters,))] if len(letters) >= _FEWEST_LETTERS and letters.isascii() else clauses
    return [Clause(_together(clause.words), clause.asked) for clause in clauses]


def _together(words: tuple[str, ...]) -> tuple[str, ...]:
    together: list[str] = []
    run: list[str] = []
    for word in (*words, ""):
        if len(word) == 1 and word.isascii():
            run.append(word)
            continue
        together += ["".join(run)] if len(run) > _FEWEST_LETTERS else run
        run = []
        together += [word] if word else []
    return tuple(together)
