"""The words of a text, as names are made of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tidings.ai.claims import Claim

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_ENDING = re.compile(r"'(?:s|re|ll|ve|d|m)$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?:^|[.!?…:;\n—–])[\s\"'“”(*-]*$")


@dataclass(frozen=True, slots=True)
class Word:
    """A word without the ending of "Ada's" and "you're"; `begins` says whether a sentence begins with it."""

    text: str
    start: int
    end: int
    begins: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a hyphenated word."""
        return tuple(self.text.split("-"))

    @property
    def is_capitalised(self) -> bool:
        return any(character.isupper() for character in self.text)


def words(text: str, without: Sequence[Claim] = ()) -> list[Word]:
    """The words of `text`, except those that the claims `without` cover. Apostrophes are straight."""
    covered = _merged(without)
    starts = [start for start, _ in covered]
    found = []
    for match in _WORD.finditer(text):
        index = bisect_right(starts, match.start()) - 1
        if index >= 0 and match.start() < covered[index][1]:
            continue
        begins = _SENTENCE_END.search(text, max(match.start() - 12, 0), match.start()) is not None
        if match.start() > 12 and begins:  # ^ of the pattern is the start of the text, not of the part looked at
            begins = _SENTENCE_END.search(" " + text[match.start() - 12 : match.start()]) is not None
        found.append(Word(_ENDING.sub("", match.group()), match.start(), match.end(), begins))
    return found


def _merged(without: Sequence[Claim]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted((claim.start, claim.end) for claim in without):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
