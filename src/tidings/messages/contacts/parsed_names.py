"""Names as people write them, taken apart so that somebody can be greeted: given name, surname, and the whole.

`Abara, Ada`, `Dr. Ada Abara (VIP)` and `ADA ABARA` are all greeted as Ada; a mail address and `N/A` are no names.
What is compared to find the same person is in `names`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import nameparser

from tidings.messages.contacts.names import plain, words_of

NEUTRAL = "there"
"""Whom a text greets of whom no name is known: `Hi there`."""

_TAGS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>|^\s*VIP\b[\s:]*")
_AFTER_BAR = re.compile(r"\s[|•·–—-]\s.*$")
_PLUS = re.compile(r"\s*\+\s*")
_TITLE_WITHOUT_SPACE = re.compile(r"\b(Dr|Prof|Mr|Mrs|Ms|Ing|Mag)\.(?=\w)", re.IGNORECASE)
_TWO_WORDS = re.compile(r"[A-Z][a-z]+ [A-Z][a-z]+", re.ASCII)
_PLAIN = re.compile(r"[A-Z][a-z]+(?: [A-Z][a-z]+)*", re.ASCII)
_UNSPOKEN = frozenset({"So", "Sk", "Sc", "Cc", "Cs", "Co", "Cn", "Cf", "Me"})
"""Categories of Unicode: emoji and what holds them together, control characters, unassigned ones."""

_LEXICON = nameparser.Lexicon.default()
_MORE_TITLES = frozenset({"pan", "pani", "pane", "herrn", "hr", "fr", "hrn", "dhr", "mevr"})
"""What the parser takes for given names."""
_TITLES = _LEXICON.titles | _MORE_TITLES
_LONE_TITLES = frozenset({"dr", "prof", "mr", "mrs", "ms", "miss", "mx", "herr", "frau", "mme", "mlle"})
_PART_TITLES = _LONE_TITLES | _MORE_TITLES
_FAMILIAR = frozenset({"ms", "miss", "mx", "m"})
_PARTICLES = frozenset(
    {"de", "del", "della", "di", "da", "dos", "das", "la", "van", "von", "vom", "zu", "der", "den", "ter"}
)
_VOWELS = frozenset("aeiouy")


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in parts, each None where nobody can say. `whole` has titles too: Dr. Ada Abara."""

    whole: str | None = None
    first: str | None = None
    last: str | None = None


NOBODY = PersonName()


@lru_cache(maxsize=20_000)
def parse_name(text: str) -> PersonName:
    """The parts of a whole name. Tags in brackets and emoji are dropped, and capitals are put right."""
    if _TWO_WORDS.fullmatch(text) and _TITLES.isdisjoint(text.lower().split()):
        first, last = text.split()
        return PersonName(text, first, last) if words_of(text) else NOBODY
    name = _bare(text)
    if not words_of(name):
        return NOBODY
    title, rest = _titled(name)
    found = nameparser.parse(rest)
    if len(rest) > 2 and (rest.isupper() or rest.islower()):
        found = found.capitalized(force=True)
    given, family = _with_capitals(found.given), _with_capitals(f"{found.middle} {found.family}".strip())
    if found.title and not given and " " not in family and plain(found.title) in _FAMILIAR:
        given, family = family, ""  # Ms Ada: a surname would be as likely, and Hi Ada offends nobody
    whole = " ".join(part for part in (title, found.title, given, family) if part)
    if found.suffix:
        whole += f"{',' if ',' in rest else ''} {found.suffix}"
    return PersonName(whole, given or None, family or None)


@lru_cache(maxsize=20_000)
def name_of_parts(first: str | None, last: str | None) -> PersonName:
    """The name of somebody whose given name and surname stand apart."""
    if first and first.rstrip().endswith(",") and last:  # a program has parted "Abara, Ada" at its space
        first, last = last, first.rstrip(" ,")
    given = _bare(first or "")
    while (parted := given.partition(" "))[2] and parted[0].rstrip(".").lower() in _PART_TITLES:
        given = parted[2]
    if given.rstrip(".").lower() in _LONE_TITLES:  # a form that asks for a title has put it here
        given = ""
    given, family = _with_capitals(given), _with_capitals(_bare(last or ""))
    whole = f"{given} {family}".strip()
    return PersonName(whole, given or None, family or None) if words_of(whole) else NOBODY


def first_name_of(first_name: str | None, name: str | None) -> str:
    """Whom a text greets: the first name, else that of the whole name, else everybody alike (`there`).

    Somebody of whom only a title and a surname are known is greeted by both: Dr. Boyd.
    """
    if first_name and words_of(first_name):
        return first_name
    found = parse_name(name or "")
    return found.first or found.whole or NEUTRAL


def _bare(text: str) -> str:
    """A name without tags and emoji; empty for what is none: a mail address, a number."""
    if _PLAIN.fullmatch(text):
        return text
    spoken = "".join(
        one for one in _TAGS.sub(" ", text) if one.isspace() or unicodedata.category(one) not in _UNSPOKEN
    )
    spoken = _PLUS.sub(" & ", _AFTER_BAR.sub("", spoken.replace("_", " ")))
    bare = " ".join(_TITLE_WITHOUT_SPACE.sub(r"\1. ", spoken).split()).strip(" ,;/|*#-")
    is_name = "@" not in bare and "://" not in bare and any(letter.isalpha() for letter in bare)
    return bare if is_name else ""


def _titled(name: str) -> tuple[str, str]:
    """A title that the parser would take for a given name, and what follows it."""
    first, _, rest = name.partition(" ")
    return (first, rest) if rest and first.rstrip(".").lower() in _MORE_TITLES else ("", name)


def _with_capitals(name: str) -> str:
    """ABARA and abara as Abara, Ada ABARA as Ada Abara; JJ stays."""
    if not (name.isupper() or name.islower()):
        words = name.split(" ")
        return " ".join(_with_capitals(word) if word.isupper() and len(word) > 3 else word for word in words)
    if len(name) < 3 and not _VOWELS & set(plain(name)):
        return name
    if name.split(" ")[0].lower() in _PARTICLES and " " in name:  # a surname by itself
        found = nameparser.parse(f"Ann {name}").capitalized(force=True).family
        return found if len(found) == len(name) else name.title()
    if name.lower() in _PARTICLES and name.islower():
        return name
    cased = (
        nameparser.parse(name).capitalized(force=True).render("{title} {given} {middle} {family} {suffix}").strip()
    )
    return cased if len(cased) == len(name) else name.title()
