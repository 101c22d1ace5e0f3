"""The language packs: what people say in each language, as data.

A pack is one TOML file in `languages/`. It holds lists of words, sets of words by what they mean, and patterns
(`patterns`) in terms of these sets. Patterns that languages share stand in `grammar.toml`; a language has those of
them whose sets it has. Everything is compared folded, so that accents may be written or left out.

Files are read at the first text, and a language's patterns compiled when a text first has words of that language.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from tidings.messages.inbound.keywords import patterns
from tidings.messages.inbound.keywords.folding import fold

_FOLDER = files(__package__).joinpath("languages")
_SHARED = "grammar"
LISTS = ("clear", "alone", "led", "begging", "thanks", "start", "help", "objects", "polite", "answers", "ordinary")
GROUPS = (
    "stopping", "firm", "harmless", "stop", "refusals", "whole", "unsure", "doubtful", "returns", "asks", "notices",
    "turned", "still", "own",
)  # fmt: skip
"""The groups of patterns; `judging` tells what each is for."""
_FILLING = ("whole", "doubtful", "returns")
"""Those that fill their clause."""
_LITERAL = re.compile(r"[^\s|{}?*^$_]+")


@dataclass(frozen=True, slots=True)
class Pack:
    """One language: lists of folded words, and patterns by group; `spaced` is False where words touch.

    `vocabulary` are all words that its patterns name, and `beginnings` those of them that are only how a word begins.
    """

    code: str
    name: str
    scripts: frozenset[str]
    spaced: bool
    words: dict[str, frozenset[str]]
    misspelt: dict[str, str]
    vocabulary: frozenset[str]
    beginnings: tuple[str, ...]

    @property
    def lonely(self) -> frozenset[str]:
        """Words of daily life that command when they are all that is said."""
        return self.words["alone"] | self.words["led"]

    def pattern(self, group: str) -> re.Pattern[str]:
        """The patterns of a group, or the words of a list (`LISTS`) that fill a clause, as one."""
        return _pattern(self.code, group)

    def written(self, words: tuple[str, ...]) -> str:
        """A clause as this pack's patterns are matched with it."""
        return patterns.written(words, spaced=self.spaced)

    def knows(self, words: set[str]) -> bool:
        """Whether any of these words is one that the patterns name."""
        return not (self.spaced and self.vocabulary.isdisjoint(words)) or any(
            word.startswith(self.beginnings) for word in words
        )


@lru_cache(maxsize=1)
def sources() -> dict[str, dict[str, Any]]:
    """The files as they are, by language."""
    found = sorted(_FOLDER.iterdir(), key=lambda file: file.name)
    return {file.name[:-5]: tomllib.loads(file.read_text("utf-8")) for file in found if file.name.endswith(".toml")}


@lru_cache(maxsize=1)
def packs() -> list[Pack]:
    """All languages that there are packs for."""
    return [_pack(code, source) for code, source in sources().items() if code != _SHARED]


def _pack(code: str, source: dict[str, Any]) -> Pack:
    words = {name: _spelt(source.get(name, "").split()) for name in LISTS}
    misspelt = {
        fold(wrong): right for right, wrongs in source.get("misspelt", {}).items() for wrong in wrongs.split()
    }
    named = set(_named(source))
    return Pack(
        code=code,
        name=source["name"],
        scripts=frozenset(source["scripts"].split()),
        spaced=source.get("spaced", True),
        words=words,
        misspelt=misspelt,
        vocabulary=_spelt(named) | words["clear"] | words["alone"],
        beginnings=tuple(_spelt(word.rstrip("~") for word in named if word.endswith("~") and len(word) > 1)),
    )


def _spelt(listed: Iterator[str] | list[str] | set[str]) -> frozenset[str]:
    return frozenset(spelt for word in listed for spelt in patterns.spellings(word))


def _named(source: dict[str, Any]) -> Iterator[str]:
    for listed in source.get("sets", {}).values():
        for member in listed.split():
            yield from member.split("_")
    for lines in source.get("patterns", {}).values():
        for line in lines:
            yield from _LITERAL.findall(line)


@cache
def _pattern(code: str, group: str) -> re.Pattern[str]:
    source = sources()[code]
    sets: dict[str, str] = {**source.get("sets", {}), **{name: source.get(name, "") for name in LISTS}}
    if group in LISTS:
        lines = [f"{{{group}}}"] if sets[group] else []
    else:
        shared: list[str] = sources()[_SHARED].get(group, []) if source.get("grammar", True) else []
        own: list[str] = source.get("patterns", {}).get(group, [])
        lines = [*own, *(line for line in shared if all(sets.get(name) for name in patterns.names_of(line)))]
    whole = group in _FILLING or group in LISTS
    return patterns.compiled(lines, sets, spaced=source.get("spaced", True), whole=whole)
