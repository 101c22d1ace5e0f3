"""Whether clauses command, ask in plain words, or only may do so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from tidings.messages.inbound.keywords.clauses import Clause
from tidings.messages.inbound.keywords.packs import Pack
from tidings.messages.inbound.keywords.vocabulary import packs_for, spelling, words

_LOOKED_BACK = 60
"""Characters before a request in which a word can turn it round."""
_BLANK = "§ "


class Part(Enum):
    """What a clause is: a keyword that is never meant otherwise, one of daily life, politeness, something else."""

    CLEAR = auto()
    LONELY = auto()
    POLITE = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Judged:
    """What a text's clauses say; `stop` wins over the others."""

    stop: bool = False
    start: bool = False
    help: bool = False
    unsure: bool = False


def judge(clauses: list[Clause]) -> Judged:
    """What `clauses`, a text's own words, say together."""
    spoken = [Clause(tuple(map(spelling().right, clause.words)), clause.asked) for clause in clauses]
    packs = packs_for({word for clause in spoken for word in clause.words})
    own, noticed = _without_notices(spoken, packs)
    stop, unsure = _by_keywords(own, packs)
    if unsure:
        return Judged(unsure=True)
    if stop or any(_asks(clause, one) for clause in own for one in packs):
        return Judged(stop=True)
    if _are(own, packs, "start") or any(_found("returns", clause, one) for clause in own for one in packs):
        return Judged(start=True)
    if _are(own, packs, "help"):
        return Judged(help=True)
    only_noticed = noticed and all(_part(clause, packs) is Part.POLITE for clause in own)
    return Judged(unsure=only_noticed or any(_may_ask(clause, one) for clause in own for one in packs))


def _by_keywords(clauses: list[Clause], packs: list[Pack]) -> tuple[bool, bool]:
    """Whether keywords alone command to stop, and whether they may be meant so."""
    parts = [_part(clause, packs) for clause in clauses]
    if Part.CLEAR in parts:
        asking = any(clause.asked and _found("asks", clause, one) for clause in clauses for one in packs)
        return not asking, asking
    others = [clause for clause, part in zip(clauses, parts, strict=True) if part is Part.OTHER]
    if Part.LONELY not in parts or not all(any(_may_ask(clause, one) for one in packs) for clause in others):
        return False, False
    every = [word for clause in clauses for word in clause.words]
    led = next((at for at, word in enumerate(every) if word in words("led")), None)
    begged = led is not None and any(word in words("begging") for word in every[:led])
    doubtful = any(clause.asked for clause in clauses) or (begged and not set(every) & words("alone"))
    return not doubtful, doubtful


def _part(clause: Clause, packs: list[Pack]) -> Part:
    said = set(clause.words)
    if said <= words("polite"):
        return Part.POLITE
    if said & words("clear") and said <= words("clear", "alone", "led", "polite", "answers", "start", "help"):
        return Part.CLEAR
    if any(
        said & one.lonely and said <= one.lonely | one.words["polite"] | words("begging", "thanks") for one in packs
    ):
        return Part.LONELY
    if "".join(clause.words) in words("clear") or _fills("clear", clause, packs):
        return Part.CLEAR
    return Part.LONELY if _fills("alone", clause, packs) else Part.OTHER


def _are(clauses: list[Clause], packs: list[Pack], command: str) -> bool:
    """Whether all that is said is the keyword of `command`, with politeness, or for START what may be its object."""
    every = Clause(tuple(word for clause in clauses for word in clause.words))
    said = set(every.words)
    others = words(command, "polite", "objects") if command == "start" else words(command, "polite") | {"me"}
    return bool(said & words(command) and said <= others) or _fills(command, every, packs)


def _fills(keywords: str, clause: Clause, packs: list[Pack]) -> bool:
    """Whether keywords of a script without spaces are all that a clause says."""
    return any(not one.spaced and one.pattern(keywords).search(one.written(clause.words)) for one in packs)


def _without_notices(clauses: list[Clause], packs: list[Pack]) -> tuple[list[Clause], bool]:
    """The clauses without what tells a reader how to stop, and whether there was such a thing."""
    if len(clauses) == 1 and clauses[0].words[0] in words("clear"):
        return clauses, False
    kept = []
    noticed = False
    for clause in clauses:
        said = str(clause) + " "
        begun = [found.start() for one in packs if one.spaced and (found := one.pattern("notices").search(said))]
        if begun:
            noticed = True
            clause = Clause(tuple(said[: min(begun)].split()), clause.asked)
        if clause.words:
            kept.append(clause)
    return kept, noticed


def _found(group: str, clause: Clause, one: Pack) -> bool:
    return one.pattern(group).search(one.written(clause.words)) is not None


def _asks(clause: Clause, one: Pack) -> bool:
    """Whether a clause asks in plain words for no more messages."""
    said = one.written(clause.words)
    if any(_is_meant(said, found, one, others=True) for found in one.pattern("stopping").finditer(said)):
        return True
    if any(_is_meant(said, found, one) for found in one.pattern("firm").finditer(said)):
        return True
    said = one.pattern("harmless").sub(_BLANK, said)
    return (
        one.pattern("whole").search(said) is not None
        or one.pattern("refusals").search(said) is not None
        or any(_is_meant(said, found, one) for found in one.pattern("stop").finditer(said))
    )


def _is_meant(said: str, found: re.Match[str], one: Pack, *, others: bool = False) -> bool:
    """Whether what stands before a request leaves it one; with `others`, whether not the writer is who stops."""
    before = said[max(0, found.start() - _LOOKED_BACK) : found.start()]
    if others and one.pattern("own").search(before):
        return False
    return one.pattern("turned").search(before) is None or one.pattern("still").search(before) is not None


def _may_ask(clause: Clause, one: Pack) -> bool:
    said = one.pattern("harmless").sub(_BLANK, one.written(clause.words))
    return one.pattern("unsure").search(said) is not None or one.pattern("doubtful").search(said) is not None
