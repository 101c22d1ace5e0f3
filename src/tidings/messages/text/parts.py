"""A long text as several messages: divided where a reader pauses, and never within a link or a mark."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

import regex

from tidings.messages.text.sentences import sentences

FENCE = "```"
_PARAGRAPH, _LINE, _WORD = regex.compile(r"\n\n+"), regex.compile(r"\n"), regex.compile(r"\s+")
_GRAPHEME = regex.compile(r"\X")
_WHOLE = regex.compile(
    r"(?<![\w*])\*(?=\S)[^*\n]{1,500}(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)[^_\n]{1,500}(?<=\S)_(?!\w)"
    r"|(?<!\w)~(?=\S)[^~\n]{1,500}(?<=\S)~(?!\w)|`[^`\n]{1,500}`"
    r"|(?<!\S)\S{1,60}[ ]\((?:https?://|mailto:|tel:|\+|/)[^\s()]*\)|https?://\S+|\+\d[\d /()-]{5,20}\d"
)
"""What is not divided while it is no longer than a message: a mark, a link with its text, a phone number."""
_LONG_MARK = regex.compile(r"(?<![\w*])\*(?=\S)([^*\n]+)(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)([^_\n]+)(?<=\S)_(?!\w)")
_MARKS = "*_~`"
_AT_LEAST = (0.5, 0.5, 0.25, 0.0)
"""The least part of a message that is to be filled when it ends with a paragraph, line, sentence, word."""


def length_of(text: str) -> int:
    """UTF-16 units, in which WhatsApp's limit is met however it counts."""
    return len(text) + sum(character > "\uffff" for character in text)


def parts_of(text: str, limit: int) -> list[str]:
    """A text in parts of at most `limit` UTF-16 units each, in order; the text itself when it is no longer.

    A part ends with a paragraph, a line, a sentence, a word or a grapheme (UAX #29), the first of these that fills it
    well. Code in ``` goes on as code in the next part; a mark that is longer than a part is taken off. Spaces where
    a part ends are left out. `limit` is at least 20.
    """
    if length_of(text) <= limit:
        return [text]
    room = limit - 2 * (len(FENCE) + 1)
    rest = _without_long_marks(text, room)
    parts: list[str] = []
    code = False
    while length_of(rest) > (limit - len(FENCE) - 1 if code else limit):
        cut = _cut(rest, room)
        part, rest = rest[:cut].rstrip(), rest[cut:].lstrip("\n" if code else None)
        opened = FENCE + "\n" if code else ""
        code ^= part.count(FENCE) % 2 == 1
        parts.append(f"{opened}{part}\n{FENCE}" if code else f"{opened}{part}")
    if rest.strip() and rest.strip() != FENCE:
        parts.append(f"{FENCE}\n{rest}" if code else rest)
    return [part for part in parts if part.strip()]


def _cut(text: str, room: int) -> int:
    """Where a part that begins the text ends: 0 < cut, and no more than `room` units before it."""
    most = _within(text, room)
    window = text[: most + 1]
    taken = [match.span() for match in _WHOLE.finditer(text[: 2 * most + 2])]
    levels = (_paragraphs(window), _lines(window), _sentences(text[:most]), _words(window))
    for places, least in zip(levels, _AT_LEAST, strict=True):
        fitting = [place for place in places if least * most < place <= most and place > 0]
        for place in reversed(fitting):
            if not any(start < place < end for start, end in taken):
                return place
    ends = list(accumulate(len(cluster) for cluster in _GRAPHEME.findall(window)))
    return ends[bisect_right(ends, most) - 1] if ends and ends[0] <= most else most


def _within(text: str, room: int) -> int:
    """How many characters of the text have at most `room` units."""
    units = 0
    for number, character in enumerate(text):
        units += 2 if character > "\uffff" else 1
        if units > room:
            return number
    return len(text)


def _paragraphs(window: str) -> Iterator[int]:
    return (match.start() for match in _PARAGRAPH.finditer(window) if not _leads_on(window[: match.start()]))


def _lines(window: str) -> Iterator[int]:
    return (match.start() for match in _LINE.finditer(window) if not _leads_on(window[: match.start()]))


def _leads_on(before: str) -> bool:
    """Whether a text ends with what begins something: "Our hours:", a heading, code."""
    line = before.rpartition("\n")[2].strip()
    is_heading = len(line) > 2 and line[0] == line[-1] == "*"
    opens_code = line == FENCE and before.count(FENCE) % 2 == 1
    return is_heading or opens_code or line.rstrip(_MARKS).endswith(":")


def _sentences(window: str) -> Iterable[int]:
    """Ends of sentences, but for the last, which the window cuts off."""
    return list(accumulate(len(sentence) for sentence in sentences(window)))[:-1]


def _words(window: str) -> Iterator[int]:
    return (match.start() for match in _WORD.finditer(window))


def _without_long_marks(text: str, room: int) -> str:
    """The text without marks that cannot be kept whole."""

    def shorter(match: regex.Match[str]) -> str:
        whole: str = match[0]
        return whole[1:-1] if len(whole) > 500 or length_of(whole) > room else whole

    return str(_LONG_MARK.sub(shorter, text))
