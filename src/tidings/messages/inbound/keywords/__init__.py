"""What a reply commands: to be left alone, to be written to again, or to be told who writes.

A person may take consent back "in any reasonable manner" (47 CFR 64.1200(a)(10)), which for a text means in their own
words and language. There are three answers: a plain wish is STOP, a text that may be one is `unsure` and for a person
to decide, and one that only contains such a word, as in "stop by the booth", is neither.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from tidings.messages.inbound.keywords.clauses import clauses_of
from tidings.messages.inbound.keywords.judging import judge
from tidings.messages.inbound.keywords.quoting import first_line_of, is_reaction, own_words
from tidings.messages.inbound.keywords.signs import is_doubtful_sign, is_stop_sign


class Command(StrEnum):
    """STOP ends all messages to a contact, START allows them again, HELP asks who writes and how to stop it."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class CommandReading:
    """What a text commands, if anything; `unsure` when it commands nothing but may wish for no more messages."""

    command: Command | None = None
    unsure: bool = False


def read_command(text: str, *, mail: bool = False) -> CommandReading:
    """How `text`, a reply as it came in, is read; of a mail (`mail`) without what it quotes.

    STOP is a keyword of 47 CFR 64.1200(a)(10), the CTIA or a carrier in one of the languages that there are packs
    for (`languages/`), with politeness around it, or a request in plain words. START is its keyword or a plain "put
    me back"; YES is not, since people answer questions with it. HELP stands alone. STOP wins over the others.

    CANCEL, END, QUIT and other words of daily life command only when nothing but politeness goes with them;
    "cancel my appointment" is not for us, and "please cancel" is `unsure`, since it does not say what. A phone's
    report of a reaction (`Liked “Reply STOP to opt out”`) and our own notice, quoted back, command nothing.

    Never raises, and takes time in proportion to the text, of which it reads the first 4,000 characters after quotes.
    """
    if is_reaction(text):
        return CommandReading()
    if is_stop_sign(text):
        return CommandReading(Command.STOP)
    said = own_words(text, mail=mail)
    judged = judge(clauses_of(said))
    if judged.stop or ((first := first_line_of(said)) != said and judge(clauses_of(first)).stop):
        return CommandReading(Command.STOP)
    if judged.start or judged.help:
        return CommandReading(Command.START if judged.start else Command.HELP)
    return CommandReading(unsure=judged.unsure or is_doubtful_sign(text))


async def read_aside(text: str, *, mail: bool = False) -> CommandReading:
    """The same on a thread of its own: a long text, or the first one of a language, makes no message late."""
    return await asyncio.to_thread(read_command, text, mail=mail)
