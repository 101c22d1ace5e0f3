"""Patterns of words: a notation small enough to be checked by whoever knows the language, not the program.

A pattern is a row of steps, each one word of a clause:

* ``text`` is that word, ``schreib~`` one that begins so, ``~ing`` one that ends so, ``#`` one that begins with a
  digit, and ``text|call`` either of them;
* ``{contact}`` is any member of the set of that name, whose members of several words have ``_`` between these;
* ``{polite}?`` may be missing, ``{polite}*`` may come up to twelve times;
* ``_3`` is up to three words of any kind (in a script without spaces, up to six characters);
* ``^`` and ``$`` are the beginning and the end of the clause, the latter also as an alternative (``police|$``).

Every repetition has a bound, so that matching takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tidings.messages.inbound.keywords.folding import fold

Sets = Mapping[str, str]

_NAMED = re.compile(r"\{([a-z_]+)\}")
_GAP = re.compile(r"_(\d)")
_TIMES = {"?": "?", "*": "{0,12}"}
_UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"}
_NEVER = re.compile(r"(?!)")


def spellings(word: str) -> set[str]:
    """A word folded, with its umlauts left out or written in two letters."""
    spelt_out = "".join(_UMLAUTS.get(c, c) for c in word.lower())
    return {fold(word), fold(spelt_out)}


def names_of(line: str) -> set[str]:
    """The sets that a pattern names."""
    return set(_NAMED.findall(line))


def compiled(lines: Iterable[str], sets: Sets, *, spaced: bool, whole: bool = False) -> re.Pattern[str]:
    """Any of the patterns, to search in a clause written as `written` does; `whole` ones fill it, but for politeness.

    KeyError when a pattern names a set that there is not.
    """
    rows = [row for line in lines if (row := _row(line, sets, spaced))]
    if not rows:
        return _NEVER
    either = "|".join(rows)
    if whole:
        polite = _step("{polite}*", sets, spaced) if sets.get("polite") else ""
        return re.compile(f"^{polite}(?:{either}){polite}$")
    return re.compile(f"(?<![^ ])(?:{either})" if spaced else f"(?:{either})")


def written(words: Iterable[str], *, spaced: bool) -> str:
    """Words as patterns are matched with them: with a space after each, or without any."""
    return "".join(f"{word} " for word in words) if spaced else "".join(words)


def _row(line: str, sets: Sets, spaced: bool) -> str:
    return "".join(_step(step, sets, spaced) for step in line.split())


def _step(step: str, sets: Sets, spaced: bool) -> str:
    if step in {"^", "$"}:
        return step
    if gap := _GAP.fullmatch(step):
        return rf"(?:[^ ]+ ){{0,{gap[1]}}}" if spaced else rf".{{0,{2 * int(gap[1])}}}?"
    times = _TIMES.get(step[-1], "")
    members = _members(step[:-1] if times else step, sets)
    either = sorted({_member(one, spaced) for member in members for one in spellings(member)}, key=len, reverse=True)
    return f"(?:{'|'.join(either)}){times}"


def _members(step: str, sets: Sets) -> list[str]:
    members: list[str] = []
    for one in step.split("|"):
        named = _NAMED.fullmatch(one)
        members += [inner for word in sets[named[1]].split() for inner in _members(word, sets)] if named else [one]
    return members


def _member(member: str, spaced: bool) -> str:
    if member == "$":
        return "$"
    words = [
        re.escape(word).replace(r"\~", "[^ ]*" if spaced else "").replace(r"\#", r"\d[^ ]*")
        for word in member.split("_")
    ]
    return "".join(f"{word} " for word in words) if spaced else "".join(words)
