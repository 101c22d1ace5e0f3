"""How many SMS a text needs, and which characters make it dear.

3GPP TS 23.038 has the GSM 7-bit default alphabet with its extension table, TS 23.040 the concatenation: a user data
header of six octets leaves 153 septets or 67 UTF-16 units of each part.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tidings.messages.text.rewrites import rewritten

Encoding = Literal["GSM-7", "UCS-2"]

_DEFAULT = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_CAPACITY: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}
_NAMED = 3
_BEYOND_BMP = 0xFFFF


@dataclass(frozen=True, slots=True)
class Culprit:
    """A character that GSM-7 lacks. `position` is its first index in the text, from 0; `rewrite` what to write
    instead, empty to leave it out."""

    character: str
    name: str
    position: int
    rewrite: str


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """What a text takes on its way. `units` are septets in GSM-7 and UTF-16 code units in UCS-2; `left` is how many
    more go into the last segment; `plain_segments` is what `plain` of the text would need."""

    encoding: Encoding
    segments: int
    units: int
    left: int
    culprits: tuple[Culprit, ...]
    plain_segments: int


def measure(text: str) -> SegmentCount:
    """How `text` is sent as SMS: 160 septets or 70 UTF-16 units alone, 153 or 67 in each of several segments.

    A character that takes two units (the extension table's, and those beyond U+FFFF) is not split over two segments,
    so a segment may end one unit early. An empty text needs no segment. Never raises.
    """
    culprits = tuple(_culprits(text))
    encoding: Encoding = "UCS-2" if culprits else "GSM-7"
    widths = _widths(text, encoding)
    segments, left = _packed(widths, encoding)
    plain_segments = _packed(_widths(plain(text), "GSM-7"), "GSM-7")[0] if culprits else segments
    return SegmentCount(encoding, segments, sum(widths), left, culprits, plain_segments)


def plain(text: str) -> str:
    """`text` in GSM-7: ’ becomes ', – becomes -, ê becomes e; what has no plain form (emoji, Cyrillic) is left out.

    A text of GSM-7 comes back as it is. One in another script loses its letters: ask `measure` first.
    """
    return "".join(c if _is_gsm(c) else _rewrite(c) for c in unicodedata.normalize("NFC", text))


def explain(measured: SegmentCount) -> str:
    """One sentence for the person who writes the text: what it takes, which characters are why, what to write."""
    size = f"{measured.segments} SMS"
    if not measured.culprits:
        return f"{size}, with room for {_counted(measured.left, 'more character')} of the GSM alphabet."
    reason = f"because of {_listed(measured.culprits)}"
    if not _can_be_plain(measured):
        return f"{size} of at most 70 characters instead of 160, {reason}; the GSM alphabet has nothing like it."
    if measured.plain_segments < measured.segments:
        size = f"{size} instead of {measured.plain_segments}"
    else:
        size = f"{size} of at most 70 characters instead of 160"
    return f"{size}, {reason}; {_advice(measured.culprits)}."


def too_long_for_sms(text: str, max_segments: int) -> str | None:
    """A sentence that says what to change when `text` needs more than `max_segments` SMS; None when it does not."""
    measured = measure(text)
    if measured.segments <= max_segments:
        return None
    single, part = _CAPACITY[measured.encoding]
    room = single if max_segments == 1 else part * max_segments
    unit = "character" if measured.encoding == "GSM-7" else "UTF-16 unit"
    sentence = (
        f"needs {measured.segments} SMS and may have {max_segments}: it takes {_counted(measured.units, unit)}, "
        f"and there is room for {room}"
    )
    if measured.plain_segments <= max_segments and measured.culprits and _can_be_plain(measured):
        return f"{sentence}; it would fit without {_listed(measured.culprits)}: {_advice(measured.culprits)}"
    return f"{sentence}; shorten it"


def _culprits(text: str) -> Iterable[Culprit]:
    seen: set[str] = set()
    for position, character in enumerate(text):
        if character not in seen and not _is_gsm(character):
            seen.add(character)
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            yield Culprit(character, name, position, _rewrite(character))


def _is_gsm(character: str) -> bool:
    return character in _DEFAULT or character in _EXTENSION


def _rewrite(character: str) -> str:
    composed = unicodedata.normalize("NFC", character)  # the Ohm sign is an Omega, which GSM-7 has
    # One character may stand for several: Hebrew letters with their points, for one.
    return "".join(c for part in composed for c in (part if _is_gsm(part) else rewritten(part)) if _is_gsm(c))


def _can_be_plain(measured: SegmentCount) -> bool:
    lost = any(not c.rewrite and unicodedata.category(c.character)[0] == "L" for c in measured.culprits)
    return measured.plain_segments > 0 and not lost


def _widths(text: str, encoding: Encoding) -> list[int]:
    if encoding == "GSM-7":
        return [2 if c in _EXTENSION else 1 for c in text]
    return [2 if ord(c) > _BEYOND_BMP else 1 for c in text]


def _packed(widths: list[int], encoding: Encoding) -> tuple[int, int]:
    """Segments, and units left in the last one."""
    single, part = _CAPACITY[encoding]
    units = sum(widths)
    if units <= single:
        return min(units, 1), single - units
    segments, left = 1, part
    for width in widths:
        if width > left:
            segments, left = segments + 1, part
        left -= width
    return segments, left


def _listed(culprits: tuple[Culprit, ...]) -> str:
    named = [f"{_visible(c)}({c.name})" for c in culprits[:_NAMED]]
    others = len(culprits) - len(named)
    return _joined([*named, f"{others} more"] if others else named)


def _advice(culprits: tuple[Culprit, ...]) -> str:
    if len(culprits) == 1:
        rewrite = culprits[0].rewrite
        return f"write {_quoted(rewrite)} instead" if rewrite else "leave it out"
    named = culprits[:_NAMED]
    steps = [f"write {_quoted(c.rewrite)} for {_visible(c).strip() or c.name}" for c in named if c.rewrite]
    dropped = [_visible(c).strip() or c.name for c in named if not c.rewrite]
    if dropped:
        steps.append(f"leave out {_joined(dropped)}")
    if len(culprits) > len(named):
        steps.append("change the others likewise")
    return _joined(steps)


def _visible(culprit: Culprit) -> str:
    shown = culprit.character.isprintable() and not unicodedata.combining(culprit.character)
    return f"{culprit.character} " if shown else ""


def _quoted(rewrite: str) -> str:
    return "a space" if rewrite == " " else rewrite


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
