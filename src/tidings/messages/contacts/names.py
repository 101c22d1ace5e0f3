"""Names of people as they are compared: without accents, titles and order, and in the Latin alphabet.

What is compared are words. `Dr. Łukasz Żak (VIP)` and `ŻAK, Łukasz` are the same two.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import cache, lru_cache

from anyascii import anyascii
from nicknames import NickNamer
from rapidfuzz.distance import OSA

_IN_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_APOSTROPHES = re.compile(r"['’ʼ`´]")
_NO_WORD = re.compile(r"[\W_]+")

_TITLES = frozenset((
    "mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "sir", "dame", "rev", "fr", "hon", "ing",
    "dipl", "mag", "phd", "md", "msc", "bsc", "mba", "esq", "jr", "sr", "ii", "iii", "iv", "herr", "frau",
    "sra", "srta", "don", "dona", "senor", "senora", "monsieur", "madame", "mme", "mlle", "m", "signor",
    "signora", "sig", "dott", "pan", "pani", "und", "and", "y", "e", "et", "i",
))  # fmt: skip
_PARTICLES = frozenset((
    "de", "del", "della", "di", "da", "dos", "das", "do", "du", "la", "le", "van", "von", "vom", "zu", "zur",
    "der", "den", "ter", "ten", "bin", "ibn", "al", "el",
))  # fmt: skip
_NOBODY = frozenset((
    "customer", "guest", "unknown", "anonymous", "anon", "none", "null", "nan", "na", "n", "a", "test", "user",
    "kunde", "gast", "cliente", "client", "visitor", "friend", "contact", "name",
    "firstname", "lastname", "fullname", "first", "last", "vorname", "nachname", "prenom", "nombre", "apellido",
))  # fmt: skip
"""Words that stand where nobody wrote a name."""

_SHORT_FORMS = {
    "pepe": "jose", "paco": "francisco", "pancho": "francisco", "nacho": "ignacio", "lola": "dolores",
    "lupe": "guadalupe", "chuy": "jesus", "beto": "roberto", "quique": "enrique", "toni": "antonio",
    "sepp": "josef", "hansi": "johann", "hans": "johannes", "uli": "ulrich", "fritz": "friedrich",
    "heinz": "heinrich", "jupp": "josef", "susi": "susanne", "steffi": "stefanie", "kathi": "katharina",
    "babsi": "barbara", "sasha": "aleksandr", "sascha": "alexander", "misha": "mikhail", "kolya": "nikolai",
    "vanya": "ivan", "katya": "ekaterina", "natasha": "natalia", "olya": "olga", "dima": "dmitri",
    "volodya": "vladimir", "kasia": "katarzyna", "gosia": "malgorzata", "basia": "barbara", "zosia": "zofia",
    "ania": "anna", "beppe": "giuseppe", "gigi": "luigi", "gianni": "giovanni", "nando": "fernando",
    "ze": "jose", "chico": "francisco", "manu": "emmanuel", "fred": "frederic", "seb": "sebastien",
    "mehdi": "mahdi", "mo": "mohammed", "mohamed": "mohammed", "muhammad": "mohammed", "muhammed": "mohammed",
    "mohammad": "mohammed", "yusuf": "youssef", "ahmad": "ahmed",
}  # fmt: skip
"""Short forms and spellings beside the English ones, which the package `nicknames` has."""

_TYPO_FROM = 5
"""How many letters a word needs for one wrong one to be a slip of the finger."""


class Likeness(Enum):
    """How two names stand to each other; `SILENT`: one of them says nothing."""

    AGREE = "agree"
    CLASH = "clash"
    SILENT = "silent"


@lru_cache(maxsize=20_000)
def plain(text: str) -> str:
    """A text in small Latin letters and digits, its words parted by single spaces."""
    composed = unicodedata.normalize("NFKC", text).casefold()
    latin = composed if composed.isascii() else anyascii(_without_symbols(composed)).lower()
    return _NO_WORD.sub(" ", _APOSTROPHES.sub("", latin)).strip()


def _without_symbols(text: str) -> str:
    """Emoji and the like say no name; transliterated they would be words."""
    return "".join(" " if unicodedata.category(letter)[0] in "SC" else letter for letter in text)


@lru_cache(maxsize=20_000)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name that tell people apart, the given name first as far as its order shows.

    Nothing for what is no name: a mail address, a number, or a word such as Customer.
    """
    name = _IN_BRACKETS.sub(" ", name)
    if "@" in name:
        return ()
    family, comma, given = name.partition(",")
    if comma and (_words(given)):
        name = f"{given} {family}"
    words = _words(name)
    return () if all(word in _NOBODY for word in words) else words


def _words(name: str) -> tuple[str, ...]:
    words = [word for word in plain(name).split() if not any(letter.isdigit() for letter in word)]
    weighty = [word for word in words if word not in _TITLES] or words
    return tuple(word for word in weighty if word not in _PARTICLES) or tuple(weighty)


def compare_names(one: str | None, other: str | None) -> Likeness:
    """Whether two names may be one person's.

    They agree when every word of the shorter one is in the longer, in whatever order: as it is, as an initial, as a
    short form, or with one slip of the finger. With another surname they still agree, since surnames change; with
    another given name they clash, since families share surnames.
    """
    first, second = sorted((words_of(one or ""), words_of(other or "")), key=len)
    if not first:
        return Likeness.SILENT
    pairs = _pairs(first, second)
    if len(pairs) == len(first):
        return Likeness.AGREE
    given_agree = (0, 0) in pairs and (len(first[0]) > 1 or len(second[0]) > 1)
    alone = len(pairs) == 1 and min(len(first[0]), len(second[0])) == 1  # an initial and another surname say nothing
    return Likeness.AGREE if given_agree and not alone else Likeness.CLASH


def says_less(told: str, known: str) -> bool:
    """Whether a name that agrees with a known one has fewer or shorter words: `A. Abara` beside `Ada Abara`."""
    fewer, more = words_of(told), words_of(known)
    if not fewer:
        return bool(more)
    longer = sum(map(len, more)) > sum(map(len, fewer))
    return longer and all(any(one == other or _initial(one, other) for other in more) for one in fewer)


def _pairs(first: tuple[str, ...], second: tuple[str, ...]) -> set[tuple[int, int]]:
    """Which word of the one is which of the other, each once; whole words are paired before initials."""
    found: set[tuple[int, int]] = set()
    for alike in (str.__eq__, _same_word, _initial):
        for left, one in enumerate(first):
            for right, other in enumerate(second):
                taken = any(left == a or right == b for a, b in found)
                if not taken and alike(one, other):
                    found.add((left, right))
    return found


def _initial(one: str, other: str) -> bool:
    return 1 in (len(one), len(other)) and one[0] == other[0]


@lru_cache(maxsize=50_000)
def _same_word(one: str, other: str) -> bool:
    if one == other or _forms(one) & _forms(other):
        return True
    longest = max(len(one), len(other))
    # Martin and Martina, Mario and Maria are two people: a slip at the end does not count where it is a vowel.
    gendered = one.rstrip("aeio") == other.rstrip("aeio")
    return longest >= _TYPO_FROM and not gendered and OSA.distance(one, other, score_cutoff=1) <= 1


def _forms(word: str) -> set[str]:
    """A given name and what it may be short for."""
    return {word, _SHORT_FORMS.get(word, word), *_nicknames().canonicals_of(word)} if len(word) > 1 else {word}


@cache
def _nicknames() -> NickNamer:
    return NickNamer()
