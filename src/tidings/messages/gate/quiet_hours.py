"""Quiet hours: the part of a person's day in which nothing is sent.

In the USA, nobody may be called before 8 a.m. or after 9 p.m. local time at the called party's location (47 CFR
64.1200(c)(1)). Where a phone is can only be told from its number, and many numbers stand for several timezones:
then the hour has to be right in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Self
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from tidings.messages.contacts.numbers.phones import canonical_number

OUTLOOK = timedelta(hours=48)
"""How far ahead `next_allowed` looks. The hours of a day repeat; only a DST change makes two days differ."""

_WRITTEN = re.compile(r"(\d\d?):(\d\d)\s*[-–]\s*(\d\d?):(\d\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` until just before `end` on the wall clock, past midnight when `end` is the earlier one.

    Raises ValueError when both are the same, or belong to a timezone.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start.tzinfo is not None or self.end.tzinfo is not None:
            raise ValueError("quiet hours are wall-clock times; leave their timezone out")
        if self.start == self.end:
            raise ValueError(
                f"quiet hours end when they start, at {self.end:%H:%M}; write two times, or off for none"
            )

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads ``21:00-08:00``; ``off`` means None. Raises ValueError with a sentence that says what to write."""
        if text.strip().lower() == "off":
            return None
        written = _WRITTEN.fullmatch(text.strip())
        if written is None:
            raise ValueError(f"{text!r} are no quiet hours; write them like 21:00-08:00, or off for none")
        from_hour, from_minute, to_hour, to_minute = map(int, written.groups())
        if max(from_hour, to_hour) > 23 or max(from_minute, to_minute) > 59:
            raise ValueError(f"{text!r} has a time that no clock shows; the day goes from 00:00 to 23:59")
        return cls(time(from_hour, from_minute), time(to_hour, to_minute))

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def allows(self, moment: datetime, zones: Sequence[str]) -> bool:
        """Whether `moment`, aware, is outside the quiet hours in every one of `zones` (IANA names).

        Raises ValueError for a naive moment, and ZoneInfoNotFoundError for a zone this machine does not know.
        """
        _refuse_naive(moment)
        return not any(self._is_quiet(moment, _place(zone)) for zone in zones)

    def next_allowed(self, moment: datetime, zones: Sequence[str]) -> datetime | None:
        """The earliest moment, UTC, from `moment` on that every zone allows; exact, DST changes included.

        None when there is none within 48 hours, because it is always night somewhere: then a person has to
        say where the recipient is. Raises what `allows` raises.
        """
        _refuse_naive(moment)
        places = [_place(zone) for zone in zones]
        latest = moment + OUTLOOK
        moment = moment.astimezone(UTC)
        while quiet := next((place for place in places if self._is_quiet(moment, place)), None):
            moment = self._end_of_quiet(moment, quiet)
            if moment > latest:
                return None
        return moment

    def _is_quiet(self, moment: datetime, zone: ZoneInfo) -> bool:
        wall = moment.astimezone(zone).time()
        if self.start < self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end

    def _end_of_quiet(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """When one zone's quiet hours end that `moment` (UTC) is in."""
        while True:
            wall = moment.astimezone(zone).replace(tzinfo=None)
            end = datetime.combine(wall.date(), self.end)
            if end <= wall:
                end += timedelta(days=1)
            reached = moment + (end - wall)
            change = _first_change(moment, reached, zone)
            if change is None:
                return reached
            if not self._is_quiet(change, zone):  # the clock was put past the end, or back to before the start
                return change
            moment = change


@lru_cache(maxsize=16_384)
def zones_of(phone: str | None, timezone: str | None, fallback: str) -> tuple[str, ...]:
    """The timezones (IANA names) a recipient may be in; at least one.

    The recipient's own `timezone` decides when this machine knows it. Otherwise it is every zone that the E.164
    number `phone` may belong to, by the numbering plans in the phonenumbers package; `fallback`, the tenant's
    zone, stands for what is unknown.
    """
    if timezone is not None and is_known_zone(timezone):
        return (timezone,)
    candidates = zones_of_number(phone) if phone else ()
    return tuple(dict.fromkeys(zone if is_known_zone(zone) else fallback for zone in candidates)) or (fallback,)


def zones_of_number(phone: str) -> tuple[str, ...]:
    """Every zone that an E.164 number may belong to, by the numbering plans in the phonenumbers package; none for a
    satellite phone and for an area code that nobody has."""
    try:
        zones: tuple[str, ...] = time_zones_for_number(phonenumbers.parse(canonical_number(phone)))
    except phonenumbers.NumberParseException:
        return ()
    return () if zones == (UNKNOWN_TIMEZONE,) else zones


@lru_cache(maxsize=1024)
def _place(zone: str) -> ZoneInfo:
    """ZoneInfo itself keeps eight zones, and reads every other one from its file each time."""
    return ZoneInfo(zone)


def is_known_zone(zone: str) -> bool:
    """Whether this machine knows a zone by this name."""
    try:
        _place(zone)
    except (ValueError, OSError, LookupError):  # malformed, a folder of the database, or missing
        return False
    return True


def _refuse_naive(moment: datetime) -> None:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no timezone; quiet hours need an aware moment")


def _first_change(start: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """The moment, UTC, after `start` and no later than `end` when the zone's offset changes.

    Two changes within a day cancelling each other out do not occur; changes fall on whole seconds.
    """
    before = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == before:
        return None
    low, high = int(start.timestamp()), int(end.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
