"""All packs together: the words of every language, and the packs of those that a text may be in."""

from __future__ import annotations

from functools import cache, lru_cache

from tidings.messages.inbound.keywords.packs import Pack, packs
from tidings.messages.inbound.keywords.spelling import Spelling

_SCRIPTS = (
    ("latin", 0x41, 0x24F),
    ("greek", 0x370, 0x3FF),
    ("cyrillic", 0x400, 0x52F),
    ("hebrew", 0x590, 0x5FF),
    ("arabic", 0x600, 0x77F),
    ("devanagari", 0x900, 0x97F),
    ("thai", 0xE00, 0xE7F),
    ("kana", 0x3040, 0x30FF),
    ("han", 0x3400, 0x9FFF),
    ("hangul", 0xAC00, 0xD7AF),
)


def packs_for(said: set[str]) -> list[Pack]:
    """The packs of the languages that have any of these folded words, or words in a script without spaces."""
    scripts = {name for c in set("".join(said)) for name, first, last in _SCRIPTS if first <= ord(c) <= last}
    return [pack for pack in packs() if scripts & pack.scripts and pack.knows(said)]


@cache
def words(*lists: str) -> frozenset[str]:
    """What the lists of that name hold, of all languages together."""
    return frozenset(word for pack in packs() for listed in lists for word in pack.words[listed])


@lru_cache(maxsize=1)
def spelling() -> Spelling:
    """How keywords are misspelt, over all languages."""
    clear, alone = words("clear"), words("alone", "led")
    known = words("start", "help", "objects", "polite", "answers", "ordinary") - clear - alone
    misspelt = {wrong: right for pack in packs() for wrong, right in pack.misspelt.items()}
    return Spelling(clear, alone, known, misspelt, words("polite"))
