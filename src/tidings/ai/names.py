"""Whom and what a text names: words with a capital letter that are not ordinary, and whom it greets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from tidings.ai.claims import Claim
from tidings.ai.facts import Facts
from tidings.ai.ordinary import NAMES_TOO, STARTERS
from tidings.ai.words import Word, words

_GREETING = re.compile(
    r"\b(?:hi|hello|hey|hiya|howdy|dear|greetings|welcome|good (?:morning|afternoon|evening|day))"
    r"(?P<aside>\s+(?:there|again|back))?(?P<comma>,)?\s+(?P<whom>[^\W\d_][\w'-]*(?:\s+[^\W\d_][\w'-]*)*)",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(r"\s*(?P<whom>[^\W\d_][\w'-]*(?:\s[^\W\d_][\w'-]*)?),\s(?=[a-z])")
_NOBODY = frozenset(
    {"there", "again", "everyone", "all", "folks", "team", "friend", "friends", "back"}
    | {"to", "and", "from", "i", "we", "you", "it", "this", "just"}
)


def unknown_name(text: str, facts: Facts, claimed: Sequence[Claim]) -> str | None:
    """The first name in `text` that the facts do not have; None when they have all. Claims are no names."""
    found = words(text, claimed)
    names: list[Word] = []
    for index, word in enumerate(found):
        following = found[index + 1].text.casefold() if index + 1 < len(found) else ""
        if not _is_name(word, following):
            continue
        for part in word.parts:
            if not _is_known(part, facts) and not _is_known(word.text, facts):
                return word.text
        names.append(word)
    for one, other in pairwise(names):
        pair = (one.text.casefold(), other.text.casefold())
        if text[one.end : other.start].strip(" ") == "" and pair not in facts.neighbours:
            return text[one.start : other.end]
    return None


def wrongly_greeted(text: str, template: str, facts: Facts) -> str | None:
    """The person whom `text` greets and should not.

    That is anybody but the one whom the template greets; when it greets nobody, everybody whom the facts do
    not have, or of whom the template speaks.
    """
    said = _greeted(text)
    expected = _greeted(template)
    if not said and (match := _ADDRESSED.match(text)):
        said = [word for word in _people(match["whom"], small=False) if word.casefold() not in STARTERS]
    for name in said:
        folded = name.casefold()
        if expected:
            wrong = folded not in {person.casefold() for person in expected}
        else:
            wrong = folded not in facts.folded or folded in {word.text.casefold() for word in words(template)}
        if wrong:
            return name
    return None


def _greeted(text: str) -> list[str]:
    return [
        name
        for match in _GREETING.finditer(text)
        for name in _people(match["whom"], small=not match["aside"] and not match["comma"])
    ]


def _people(whom: str, *, small: bool) -> list[str]:
    """The names at the start of what follows a greeting; with `small` its first word may lack the capital."""
    people: list[str] = []
    for word in words(whom):
        folded = word.text.casefold()
        is_name = word.is_capitalised or (small and not people and folded not in STARTERS)
        if folded in _NOBODY or not is_name:
            break
        people.append(word.text)
    return people


def _is_name(word: Word, following: str) -> bool:
    if not word.is_capitalised or word.text == "I":
        return False
    folded = word.text.casefold()
    if folded in NAMES_TOO:
        return not (word.begins and following in NAMES_TOO[folded])
    return not (word.begins and folded in STARTERS)


def _is_known(part: str, facts: Facts) -> bool:
    # The article does not make "Hall A" known, nor the verb a person called Will.
    if len(part) == 1 or part.casefold() in NAMES_TOO:
        return part in facts.words
    return part.casefold() in facts.folded
