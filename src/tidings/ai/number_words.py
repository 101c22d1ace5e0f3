"""English numbers in words, read as digits: "twelve hundred" is 1200, "October seventeenth" is October 17th."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal

_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {word: number for number, word in enumerate(_UNITS)} | {word: 20 + 10 * n for n, word in enumerate(_TENS)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
_UNEVEN = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
_ORDINALS = (
    _UNEVEN
    | {word + "th": number for number, word in enumerate(_UNITS) if number > 3 and number not in (5, 8, 9, 12)}
    | {word[:-1] + "ieth": _SMALL[word] for word in _TENS}
)

_PIECE = re.compile(r"\d[\d,]*(?:\.\d+)?|[a-z]+", re.IGNORECASE)
_BETWEEN = re.compile(r"\s+|\s*-\s*|\s+and\s+", re.IGNORECASE)
_COUNTED = re.compile(  # "one" alone is a pronoun, unless it counts one of these
    r"[\s-]*(?:o.clock|[ap]\.?m\b|percent|per cent|dollars?|euros?|pounds?|cents?|bucks?|seconds?|minutes?|hours?"
    r"|days?|nights?|weeks?|months?|years?|miles?)",
    re.IGNORECASE,
)
_SPAN_OF_TIME = re.compile(r"(?:\b(?:a|an|one|per|each|every|half|split|this|just)|\d)[\s-]*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Digits:
    """A text whose number words became digits, and where each of its characters stood before."""

    text: str
    _starts: tuple[tuple[int, int, int, int], ...]  # start and end here, start and end in the original

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original text of the characters from `start` to `end`."""
        return self._place(start, last=False), self._place(end - 1, last=True) + 1

    def _place(self, position: int, *, last: bool) -> int:
        index = bisect_right(self._starts, position, key=lambda start: start[0]) - 1
        here, here_end, there, there_end = self._starts[index]
        if here_end - here == there_end - there:
            return there + position - here
        return there_end - 1 if last else there


def with_digits(text: str) -> Digits:
    """`text` with every English number word as digits, ordinals as "17th"."""
    parts: list[str] = []
    starts: list[tuple[int, int, int, int]] = []
    length = done = 0

    def add(part: str, start: int, end: int) -> None:
        nonlocal length, done
        if part:
            starts.append((length, length + len(part), start, end))
            parts.append(part)
            length += len(part)
        done = end

    for start, end, digits in _numbers(text):
        add(text[done:start], done, start)
        add(digits, start, end)
    add(text[done:], done, len(text))
    return Digits("".join(parts), tuple(starts) or ((0, 0, 0, 0),))


def _numbers(text: str) -> list[tuple[int, int, str]]:
    found = []
    pieces = [p for p in _PIECE.finditer(text) if _stands_alone(text, p) and p.group().lower() != "and"]
    index = 0
    while index < len(pieces):
        number = _Number()
        first = index
        while index < len(pieces) and number.take(pieces[index].group().lower(), _gap(text, pieces, first, index)):
            index += 1
        if index == first:
            index += 1
            continue
        start, end = pieces[first].start(), pieces[index - 1].end()
        if number.in_words and not _is_no_number(text, start, end):
            found.append((start, end, number.digits))
    return found


def _stands_alone(text: str, piece: re.Match[str]) -> bool:
    before, after = text[max(piece.start() - 1, 0) : piece.start()], text[piece.end() : piece.end() + 1]
    return not (before.isalnum() or before == "_" or after.isalnum() or after == "_")


def _gap(text: str, pieces: list[re.Match[str]], first: int, index: int) -> str | None:
    """What joins a piece to the number before it: "" at its start, None when nothing does."""
    if index == first:
        return ""
    gap = text[pieces[index - 1].end() : pieces[index].start()]
    return gap if _BETWEEN.fullmatch(gap) else None


def _is_no_number(text: str, start: int, end: int) -> bool:
    word = text[start:end].lower()
    if word == "second":
        return _SPAN_OF_TIME.search(text[max(start - 12, 0) : start]) is not None
    return word == "one" and _COUNTED.match(text, end) is None


class _Number:
    """A number while it is read, word by word."""

    def __init__(self) -> None:
        self.in_words = False
        self._total = Decimal(0)
        self._current = Decimal(0)
        self._last: str | None = None  # the kind of the word before: digits, unit, tens, scale, ordinal, and
        self._scale = Decimal("Infinity")

    @property
    def digits(self) -> str:
        number = f"{(self._total + self._current).normalize():f}"
        return number + _suffix(int(number)) if self._last == "ordinal" else number

    def take(self, word: str, gap: str | None) -> bool:
        """Whether `word` belongs to this number, which then has it."""
        if gap is None or self._last == "ordinal":
            return False
        if "and" in gap.lower() and self._last != "scale":
            return False
        if word in _SCALES:
            return self._take_scale(Decimal(_SCALES[word]))
        if word[0].isdigit():
            return self._take_digits(word)
        ordinal = word in _ORDINALS
        value = _ORDINALS.get(word, _SMALL.get(word))
        if value is None or not self._has_room_for(value):
            return False
        self._current += value
        self._last = "ordinal" if ordinal else "tens" if value >= 20 else "unit"
        self.in_words = True
        return True

    def _has_room_for(self, value: int) -> bool:
        return self._last in (None, "scale") or (self._last == "tens" and 0 < value < 10)

    def _take_digits(self, word: str) -> bool:
        if self._last is not None:
            return False
        self._current, self._last = Decimal(word.replace(",", "")), "digits"
        return True

    def _take_scale(self, scale: Decimal) -> bool:
        bare = self._current == 0
        if self._last is None:  # "a hundred"
            self._current = Decimal(1)
        elif self._last == "scale" and (scale == 100 or (bare and scale <= self._scale)):
            return False
        if scale == 100:
            self._current *= scale
        else:
            if scale > self._scale:  # a thousand million
                self._total = (self._total + self._current) * scale
            else:
                self._total += self._current * scale
            self._current, self._scale = Decimal(0), scale
        self._last, self.in_words = "scale", True
        return True


def _suffix(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
