"""What a reply commands: to be left alone, to be written to again, or to be told who writes.

A person may take consent back "in any reasonable manner" (47 CFR 64.1200(a)(10)), which for a text means in
their own words. The rule here: who plausibly asks not to be messaged is taken at their word, since a missed STOP
is a broken law and a wrong one is a lost reader, who can write START. A text that only contains such a word, as in
"stop by the booth", commands nothing and is for a person to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tidings.messages.inbound.keywords import words
from tidings.messages.inbound.keywords.phrases import asks_to_be_left_alone, asks_to_come_back
from tidings.messages.inbound.keywords.reading import Clause, clauses_of, first_line_of, is_reaction, is_stop_sign


class Command(StrEnum):
    """STOP ends all messages to a contact, START allows them again, HELP asks who writes and how to stop it."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class CommandReading:
    """What a text commands, if anything, and whether it may mean STOP, so that a person has to look."""

    command: Command | None = None
    unsure: bool = False


def read_command(text: str, *, mail: bool = False) -> CommandReading:
    """What a reply says; `mail` says that it may carry quotations and a signature."""
    return CommandReading(command_of(text))


def command_of(text: str) -> Command | None:
    """What `text`, a reply as it came in, commands; None when it is for a person or a feature to read.

    STOP is a keyword of 47 CFR 64.1200(a)(10) or one that carriers list in other languages, with politeness around
    it, or a request in plain words, English or the commonest of six other languages. START is its keyword or a
    plain "put me back"; YES is not, since people answer questions with it. HELP stands alone. STOP wins over
    the others in one text. "Unsubscribed by accident, put me back" is START: the words ask for messages.

    CANCEL, END, QUIT and REVOKE command only when nothing but politeness or a name on the next line goes with
    them, or when what they end is the messages: "cancel my appointment" is for a person. A phone's report of a
    reaction (`Liked “Reply STOP to opt out”`) quotes us and commands nothing.

    Never raises, and takes time in proportion to the text.
    """
    if is_reaction(text):
        return None
    if is_stop_sign(text):
        return Command.STOP
    clauses = clauses_of(text)
    if _is_stop(clauses) or words.are_stop(_all_words(clauses_of(first_line_of(text)))):
        return Command.STOP
    spoken = _all_words(clauses)
    if words.are_start(spoken) or any(asks_to_come_back(" ".join(clause)) for clause in clauses):
        return Command.START
    return Command.HELP if words.are_help(spoken) else None


def _is_stop(clauses: list[Clause]) -> bool:
    if words.are_stop(_all_words(clauses)):
        return True
    return any(words.are_plainly_stop(clause) or asks_to_be_left_alone(" ".join(clause)) for clause in clauses)


def _all_words(clauses: list[Clause]) -> Clause:
    return tuple(word for clause in clauses for word in clause)
