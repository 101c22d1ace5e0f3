"""Tables of texts as people answer, in many languages, each with what it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tidings.messages.inbound.keywords import Command, CommandReading, read_command

SAYINGS = {
    "+": CommandReading(Command.STOP),
    "?": CommandReading(unsure=True),
    "-": CommandReading(),
    "s": CommandReading(Command.START),
    "h": CommandReading(Command.HELP),
}
SIGNS = {reading: sign for sign, reading in SAYINGS.items()}


@dataclass(frozen=True, slots=True)
class Text:
    """What somebody wrote, in a language (an ISO 639-1 code), and the sign of what it says (`SAYINGS`)."""

    language: str
    sign: str
    said: str


def read_table(name: str) -> list[Text]:
    """The texts of a table beside this file."""
    texts: list[Text] = []
    language = ""
    for line in Path(__file__).with_name(name).read_text("utf-8").splitlines():
        if line.startswith("## "):
            language = line[3:]
        elif line and not line.startswith("# "):
            texts += [Text(language, line[0], said.strip()) for said in line[2:].split(" | ")]
    return texts


@dataclass(frozen=True, slots=True)
class Figures:
    """How many wishes to stop were read as such, as unsure and missed, and how harmless texts were read."""

    wishes: int
    stopped: int
    missed: int
    harmless: int
    wronged: int
    bothered: int

    def __str__(self) -> str:
        unsure = self.wishes - self.stopped - self.missed
        return (
            f"{self.stopped} of {self.wishes} wishes are STOP, {unsure} unsure, {self.missed} missed; "
            f"of {self.harmless} harmless texts {self.wronged} are STOP and {self.bothered} unsure"
        )


def figures_of(texts: list[Text]) -> Figures:
    """The figures of texts; those that a person has to judge count in none of them."""
    read = Counter((text.sign, SIGNS[read_command(text.said)]) for text in texts)
    return Figures(
        wishes=sum(count for (sign, _), count in read.items() if sign == "+"),
        stopped=read["+", "+"],
        missed=read["+", "-"],
        harmless=sum(count for (sign, _), count in read.items() if sign == "-"),
        wronged=read["-", "+"],
        bothered=read["-", "?"],
    )


def misread(texts: list[Text]) -> list[str]:
    """A line for each text that is not read as its table says; STOP is right also for what a person has to judge."""
    lines = []
    for text in texts:
        read = SIGNS[read_command(text.said)]
        if read != text.sign and (text.sign, read) != ("?", "+"):
            lines.append(f"{text.language} {text.sign} read as {read}: {text.said}")
    return lines
