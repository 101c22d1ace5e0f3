"""Keywords as people type them: with digits for letters, letters held down, words stuck together, one slip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

from rapidfuzz import process
from rapidfuzz.distance import OSA

from tidings.messages.inbound.keywords.folding import latin

_DIGITS = str.maketrans("013457$@", "oieastsa")
_DIGITS_TOO = str.maketrans("015", "ols")
_HELD = re.compile(r"(.)\1{2,}")
_REPEATED = re.compile(r"(.)\1+")
_NUMBERED = re.compile(r"\d{1,6}[a-z]{0,12}")
_SHORTEST_STUCK = 4
_ONE_SLIP, _TWO_SLIPS = 7, 10
"""Letters from which on a word bears one typing error, or two."""


class Spelling:
    """Finds the keyword that a word stands for.

    `clear` are the keywords that bear errors, `alone` those that are read in other letters but with no error, `known`
    every other word of the packs (never taken for a slip), `misspelt` wrong to right, `stuck` what may stick to one.
    """

    def __init__(
        self, clear: Set[str], alone: Set[str], known: Set[str], misspelt: Mapping[str, str], stuck: Set[str]
    ) -> None:
        self._keywords = clear | alone
        self._clear = clear
        self._known = known
        self._misspelt = misspelt
        self._stuck = stuck
        self._long = sorted(word for word in clear if len(word) >= _ONE_SLIP)
        self._squeezed = {_REPEATED.sub(r"\1", word): word for word in sorted(self._keywords)}

    def right(self, word: str) -> str:
        """The keyword that `word` is meant for, else the word itself."""
        if word in self._keywords or word in self._known:
            return word
        for form in (word, latin(word), word.translate(_DIGITS), word.translate(_DIGITS_TOO)):
            if (found := self._exact(form)) is not None:
                return found
        return self._unstuck(word) or self._nearly(word) or word

    def _exact(self, form: str) -> str | None:
        if form in self._keywords:
            return form
        if form in self._misspelt:
            return self._misspelt[form]
        if _HELD.search(form):
            found = self._squeezed.get(_REPEATED.sub(r"\1", form))
            return found if found in self._keywords else self._misspelt.get(_HELD.sub(r"\1", form))
        return None

    def _unstuck(self, word: str) -> str | None:
        """``stopall``, ``stop2end``, ``plsstop``: a clear keyword with a number or a small word stuck to it."""
        for at in range(_SHORTEST_STUCK, len(word)):
            head, tail = word[:at], word[at:]
            if head in self._clear and (_NUMBERED.fullmatch(tail) or tail in self._stuck or tail in self._clear):
                return head
        for at in range(2, len(word) - _SHORTEST_STUCK + 1):
            if word[at:] in self._clear and word[:at] in self._stuck:
                return word[at:]
        return None

    def _nearly(self, word: str) -> str | None:
        if len(word) < _ONE_SLIP - 1:
            return None
        slips = 2 if len(word) >= _TWO_SLIPS - 1 else 1
        found = process.extractOne(word, self._long, scorer=OSA.distance, score_cutoff=slips)
        if found is None or found[1] == 0:
            return None
        keyword = found[0]
        near = found[1] == 1 or (keyword[0] == word[0] and len(keyword) >= _TWO_SLIPS)
        return keyword if near else None
