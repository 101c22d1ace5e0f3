"""Texts as they are compared: without case, accents, ornament and letters of other scripts that only look alike."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ACCENTED = "\u0900"
"""Scripts before this code point bear marks that people leave out; in those after it a mark makes another letter."""

_LETTER = re.compile(
    r"(?:REGIONAL INDICATOR SYMBOL|.*LATIN (?:SMALL|CAPITAL|LETTER SMALL CAPITAL))(?: LETTER)? ([A-Z])"
)
_ENDING = re.compile(r" WITH [A-Z ]+$")
_VARIANTS = str.maketrans(
    {
        "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ѐ": "е",
        "ة": "ه", "ى": "ي", "ی": "ي", "ک": "ك", "ـ": "",  # one letter, typed on Arabic and Persian keyboards
    }
)  # fmt: skip

# Pairs of letters that Unicode's confusables (UTS 39) call alike, with those whose capitals are: В is B, Н is H.
_PAIRS = (
    "аa вb еe ѕs іi їi јj кk мm нh оo рp сc тt уy хx һh ԁd ԛq ԝw ьb "
    "αa βb εe ζz ηh ιi κk μm νn οo ρp τt υy χx σo ωw ϲc ɑa ɡg"
)
_ALIKE = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()})

_APOSTROPHES = re.compile(r"['`´ʼ‘’‛′]|(?<=[a-z])\?(?=[a-z])")


def fold(text: str) -> str:
    """`text` without case, accents, apostrophes, invisible characters and fancy letters (𝐒𝐓𝐎𝐏, 🆂🆃🅾🅿, ꜱᴛᴏᴘ)."""
    if not text.isascii():
        text = "".join(_plain(c) for c in unicodedata.normalize("NFKC", text))
        text = _without_marks(text.casefold().translate(_VARIANTS))
    return _APOSTROPHES.sub("", text.casefold())


def latin(word: str) -> str:
    """A folded word with Cyrillic and Greek letters in it as the Latin one that it looks like."""
    return word.translate(_ALIKE)


@lru_cache(maxsize=4096)
def _plain(c: str) -> str:
    if c.isascii():
        return c
    if unicodedata.category(c) == "Cf":
        return ""
    name = unicodedata.name(c, "")
    found = _LETTER.fullmatch(_ENDING.sub("", name)) or (_LETTER.match(name) if c.isalpha() is False else None)
    return found[1].lower() if found else c


def _without_marks(text: str) -> str:
    kept: list[str] = []
    base = ""
    for c in unicodedata.normalize("NFKD", text):
        if not unicodedata.combining(c):
            base = c
        elif base < _ACCENTED:
            continue
        kept.append(c)
    return unicodedata.normalize("NFC", "".join(kept))
