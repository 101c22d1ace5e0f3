"""An answer as its channel shows it: with the channel's marks, and in as many messages as it needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tidings.features.chat.models import ChatChannel
from tidings.messages.text.marks import in_whatsapp_marks
from tidings.messages.text.parts import parts_of
from tidings.messages.text.sentences import whole_sentences
from tidings.providers.whatsapp_cloud.send import MAX_TEXT

MAX_ANSWER = 16_000
"""Characters of an answer, about four messages of WhatsApp; what a model writes beyond them nobody reads."""

MARKDOWN = "markdown"
"""The format of a message of the widget that is Markdown; others are plain text."""

_INTRODUCED = re.compile(
    r"\b(?i:your name is|you are called|you are|you're|du heißt|du bist|te llamas|eres|tu t'appelles|je heet)\s+"
    r"[\"“']?(?P<name>[^\W\d_a-z][\w'-]{1,30})",
)


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """The texts of an answer's messages in order, their format (None: as they are), and whether a part is missing."""

    texts: Sequence[str]
    format: str | None
    cut: bool


def shown_in(channel: ChatChannel, text: str, *, markdown: bool) -> ShownAnswer:
    """What a channel is sent of an answer, which is Markdown or what somebody wrote for people.

    WhatsApp gets messages of at most 4,096 UTF-16 units, the widget one of any length, which it shows as HTML.
    """
    short = text if len(text) <= MAX_ANSWER else whole_sentences(text[:MAX_ANSWER]) or text[:MAX_ANSWER]
    if not channel.is_whatsapp:
        return ShownAnswer((short,), MARKDOWN if markdown else None, len(short) < len(text))
    marked = (in_whatsapp_marks(short) or short) if markdown else short
    return ShownAnswer(parts_of(marked, MAX_TEXT), None, len(short) < len(text))


def speakers(name: str, instructions: str) -> tuple[str, ...]:
    """The names under which a chatbot's model may announce itself: its own, and those its instructions give it."""
    return (name, *(found["name"] for found in _INTRODUCED.finditer(instructions[:4000])))
