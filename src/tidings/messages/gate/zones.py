"""Where a person is, for planning by their wall clock, and how we know.

Quiet hours must be right wherever somebody may be, so they go by `quiet_hours.zones_of`: every zone of a number.
A plan needs one zone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from phonenumbers.tzdata import TIMEZONE_DATA

from tidings.messages.gate.quiet_hours import is_known_zone, zones_of_number

_FROM, _WEEKS = datetime(2026, 1, 1, tzinfo=UTC), 12 * 52


class ZoneSource(StrEnum):
    """What tells a person's zone: they themselves, their number, the event that a message is about, or its tenant."""

    CONTACT = "contact"
    NUMBER = "number"
    EVENT = "event"
    TENANT = "tenant"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    ZoneSource.CONTACT: "the contact's own timezone",
    ZoneSource.NUMBER: "the only one that their phone number can be in",
    ZoneSource.EVENT: "the event's, since neither the contact nor their phone number tells one",
    ZoneSource.TENANT: "its tenant's, since neither the contact nor their phone number tells one",
}


@dataclass(frozen=True, slots=True)
class Zone:
    """A timezone (IANA name), and what told it."""

    name: str
    source: ZoneSource


@lru_cache(maxsize=16_384)
def zone_of(phone: str | None, timezone: str | None, fallback: str, *, event: str | None = None) -> Zone:
    """The zone by whose wall clock something for a person is planned.

    Their own `timezone`, when this machine knows it; else that of the E.164 number `phone`, when all zones that the
    number may be in keep the same time; else that of the `event`, and without one `fallback`, the tenant's.
    Of several zones with the same time (London and Jersey) it is the one that most numbers are in.
    """
    if timezone is not None and is_known_zone(timezone):
        return Zone(timezone, ZoneSource.CONTACT)
    zones = zones_of_number(phone) if phone else ()
    if zones and _keep_the_same_time(zones):
        return Zone(max(zones, key=_numbers_in().__getitem__), ZoneSource.NUMBER)
    return Zone(event, ZoneSource.EVENT) if event else Zone(fallback, ZoneSource.TENANT)


def _keep_the_same_time(zones: Sequence[str]) -> bool:
    if not all(map(is_known_zone, zones)):
        return False
    first, *others = zones
    return all(_offsets(zone) == _offsets(first) for zone in others)


@cache
def _offsets(zone: str) -> tuple[timedelta | None, ...]:
    """A zone's offset from UTC in every week of twelve years: two with the same ones show the same time."""
    place = ZoneInfo(zone)
    return tuple((_FROM + timedelta(weeks=week)).astimezone(place).utcoffset() for week in range(_WEEKS))


@cache
def _numbers_in() -> Counter[str]:
    """How many prefixes of numbers lie in a zone."""
    return Counter(zone for zones in TIMEZONE_DATA.values() for zone in zones)
