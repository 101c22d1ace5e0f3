"""Whether a program answers us, so that two of them would go on for ever.

A person needs time to read and to write. A program gives itself away by being too quick for that, round after round,
or by saying the same again and again. A round is what the other side wrote after a message of ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rapidfuzz import fuzz

QUICK_ROUNDS, SAME_ROUNDS, SLOW_ROUNDS, NOTICES, STEADY_ROUNDS, MANY_ROUNDS = 6, 4, 5, 2, 10, 40
"""How many rounds show it: too quick ones; the same text at once, and later; automatic notices; a steady exchange;
one without a pause."""

LOOKED_AT = 2 * MANY_ROUNDS + 10
"""Messages of a conversation that are enough to see any of it."""

_PASTES = 15.0
"""Characters a second that nobody types, though somebody may once paste a text."""

_WRITES, _READS, _TURNS = 12.0, 60.0, 1.0
"""Characters a second that somebody dictates and skims over many rounds, and seconds to begin with."""

_AT_ONCE, _SOON = 20.0, 3600.0
"""Seconds within which the same text is an answer to ours."""

_PAUSE = 15.0
"""Seconds that everybody takes once in a while."""

_LONG = 12
"""Characters of a text that nobody repeats without being a nuisance: yes, yes, 1, 1 is how people use menus."""

_ALIKE = 90.0
"""How alike two texts are (0 to 100) that differ in a number, a name or a time."""

_COMPARED = 500
"""Characters of a text that are compared."""

_AWAY = r"(?:unavailable|away|closed|not available)"
_NOW = r"(?:currently|temporarily|right now|at the moment)"
_NOTICE = re.compile(
    "|".join(
        (
            r"\bout[ -]of[ -](?:the[ -])?office\b",
            r"\bauto(?:matic(?:ally)?|mated)?[ -]?(?:reply|replies|response|message|generated)\b",
            r"\bthis is an? automat",
            r"\b(?:do(?: not|n['’]t)|no)[ -]?reply\b",
            rf"\b{_NOW}\b[^.!?]{{0,20}}\b{_AWAY}\b",
            rf"\b{_AWAY}\b[^.!?]{{0,20}}\b{_NOW}\b",
            r"\bthank(?:s| you) for (?:contacting|(?:your )?messag|reaching out|getting in touch|writing)",
            r"\bwe(?:['’]ll| will) (?:respond|reply|get back|be in touch)\b",
            r"\babwesenheits",
            r"\bnicht im b(?:ü|ue)ro\b",
            r"\bautomati(?:sche antwort|sche nachricht|skt svar|sch antwoord)\b|\bautosvar\b",
            r"\b(?:vielen )?dank f(?:ü|ue)r (?:ihre|deine|eure) nachricht\b",
            r"\b(?:respuesta|resposta|risposta) autom[aá]tica\b|\br[ée]ponse automatique\b",
            r"\b(?:fuera de (?:la )?oficina|fora do escrit[oó]rio|fuori ufficio|absente? du bureau)\b",
            r"\bgracias por (?:comunicar|contactar|escribir|su mensaje|tu mensaje)",
            r"\bmerci (?:de|d['’]|pour)[^.!?]{0,10}(?:contact|message)",
            r"\bobrigad[oa] (?:por|pelo) (?:entrar|contat|sua|seu)",
            r"\bgrazie per (?:averci|il tuo messaggio|il suo messaggio)",
        )
    ),
    re.IGNORECASE,
)
"""What automatic replies of phones, mail programs and help desks say."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation: `ours` or the other side's, when it was sent or came.

    `typed` is false for buttons that were tapped, pictures, and what else is the same or quick with people. `made_at`
    is when a message of ours was made: an instant answer may come before it is known that ours has left.
    """

    ours: bool
    text: str
    at: datetime
    typed: bool = True
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What the other side wrote after a message of ours; `seconds` after it, None when it was begun before."""

    text: str
    seconds: float | None
    asked: int
    typed: bool

    @property
    def is_quick(self) -> bool:
        return self.typed and self.seconds is not None and self.seconds < _TURNS + len(self.text) / _PASTES


def rounds_of(messages: Sequence[Said]) -> list[Round]:
    """The rounds of a conversation, whose messages are in their order. A burst of messages is one answer."""
    rounds: list[Round] = []
    asked: list[Said] = []
    answer: list[Said] = []
    for one in [*messages, None]:
        if one is not None and not one.ours:
            answer.append(one)
            continue
        if answer:
            if asked:
                rounds.append(_round(asked, answer))
            asked, answer = [], []
        if one is not None:
            asked.append(one)
    return rounds


def _round(asked: Sequence[Said], answer: Sequence[Said]) -> Round:
    left, made = max(one.at for one in asked), max(one.made_at or one.at for one in asked)
    begun_before = answer[0].at < made
    return Round(
        "\n".join(one.text for one in answer),
        None if begun_before else max((answer[-1].at - left).total_seconds(), 0.0),
        sum(len(one.text) for one in asked),
        all(one.typed for one in answer),
    )


def find_loop(messages: Sequence[Said]) -> str | None:
    """Why the other side looks like a program (a sentence for people); None when it looks like a person."""
    rounds = rounds_of(messages)
    if not rounds:
        return None
    at_once, ever = _repeated(rounds, _AT_ONCE), _repeated(rounds, _SOON)
    if ever >= NOTICES and _NOTICE.search(rounds[-1].text):
        return f"an automatic reply came back {ever} times"
    if at_once >= SAME_ROUNDS:
        return f"nearly the same text came back {at_once} times, seconds after each answer"
    if ever >= SLOW_ROUNDS:
        return f"nearly the same text came back {ever} times"
    latest = rounds[-QUICK_ROUNDS:]
    if len(latest) == QUICK_ROUNDS and all(one.is_quick for one in latest):
        return f"{QUICK_ROUNDS} answers in a row came faster than anybody types"
    latest = rounds[-STEADY_ROUNDS:]
    if len(latest) == STEADY_ROUNDS and all(one.typed and one.seconds is not None for one in latest):
        taken = sum(one.seconds or 0.0 for one in latest)
        if taken < sum(_TURNS + len(one.text) / _WRITES + one.asked / _READS for one in latest):
            return f"the last {STEADY_ROUNDS} answers came faster than anybody reads and writes"
    latest = rounds[-MANY_ROUNDS:]
    if len(latest) == MANY_ROUNDS and all(one.seconds is not None and one.seconds < _PAUSE for one in latest):
        return f"{MANY_ROUNDS} answers came without a pause"
    return None


def _repeated(rounds: Sequence[Round], within: float) -> int:
    """How many of the latest rounds say the same, or the same two things in turn."""
    told: list[str] = []
    for one in reversed(rounds):
        if not one.typed or one.seconds is None or one.seconds > within or len(one.text) < _LONG:
            break
        told.append(_compared(one.text))
    return max(_periods(told, 1), _periods(told, 2))


def _periods(told: Sequence[str], every: int) -> int:
    """How many texts from the first on are like the one that stands `every` places before, those included."""
    count = every
    while count < len(told) and _alike(told[count], told[count - every]):
        count += 1
    return count if count >= 2 * every else 0


def _compared(text: str) -> str:
    return " ".join(re.sub(r"\d+", "0", text[:_COMPARED]).casefold().split())


def _alike(one: str, other: str) -> bool:
    return fuzz.ratio(one, other, score_cutoff=_ALIKE) >= _ALIKE
