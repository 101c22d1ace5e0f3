"""The gate's rules: quiet hours, by the recipient's country where it has its own, and frequency caps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from tidings.messages.contacts.numbers.countries import country_of
from tidings.messages.gate.quiet_hours import QuietHours

LONGEST_WINDOW = timedelta(days=31)
"""How long the window of a cap may be: for so long the places in caps are kept."""

_CAP = re.compile(r"(\d+)\s*/\s*(\d+)\s*([hd])")


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` promotional messages to one contact within any `window`."""

    most: int
    window: timedelta

    def __str__(self) -> str:
        days, seconds = self.window.days, self.window.seconds
        return f"{self.most}/{days}d" if not seconds else f"{self.most}/{self.window // timedelta(hours=1)}h"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one tenant. `timezone` (IANA) is where numbers are taken to be that name no zone.

    `by_country` (ISO 3166-1) has the quiet hours of recipients in that country, by their number; None there: none.
    """

    quiet_hours: QuietHours | None = None
    caps: tuple[Cap, ...] = ()
    timezone: str = "UTC"
    by_country: Mapping[str, QuietHours | None] = field(default_factory=dict, hash=False)

    @property
    def longest_window(self) -> timedelta:
        return max((cap.window for cap in self.caps), default=timedelta(0))

    def hours_for(self, phone: str | None) -> QuietHours | None:
        """The quiet hours of whoever has this number (E.164)."""
        if not self.by_country or phone is None:
            return self.quiet_hours
        return self.by_country.get(country_of(phone), self.quiet_hours)


def parse_caps(text: str) -> tuple[Cap, ...]:
    """`2/1d, 5/7d` as caps: at most 2 in any day and 5 in any 7 days; hours are `h`, and `off` means none.

    Raises ValueError with a sentence for anything else, and for a window longer than 31 days.
    """
    if text.strip().lower() in ("", "off"):
        return ()
    caps = []
    for part in text.split(","):
        found = _CAP.fullmatch(part.strip().lower())
        if not found or not int(found[1]) or not int(found[2]):
            raise ValueError(f"{text!r} are no caps; write messages/time, like 2/1d, 5/7d (h for hours), or off")
        unit = timedelta(hours=1) if found[3] == "h" else timedelta(days=1)
        if int(found[2]) > LONGEST_WINDOW / unit:
            raise ValueError(f"{part.strip()!r} looks too far back; 31 days are the most")
        caps.append(Cap(int(found[1]), int(found[2]) * unit))
    return tuple(caps)


def parse_hours_by_country(text: str) -> dict[str, QuietHours | None]:
    """`FR 20:00-10:00, US 21:00-08:00` as quiet hours by country; `DE off` means none there.

    Raises ValueError with a sentence for anything else.
    """
    found: dict[str, QuietHours | None] = {}
    for part in text.split(","):
        words = part.split(maxsplit=1)
        if not words:
            continue
        if len(words) != 2 or not re.fullmatch(r"[A-Za-z]{2}", words[0]):
            raise ValueError(f"{part.strip()!r} is not a country and its quiet hours; write them like FR 20:00-10:00")
        found[words[0].upper()] = QuietHours.parse(words[1])
    return found
