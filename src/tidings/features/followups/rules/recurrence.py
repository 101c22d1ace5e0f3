"""When a series' occurrences are: the same time on the contractor's wall clock, whatever DST does to the hours.

Every occurrence is computed from the first one's wall-clock time and its number, so an hour that one of them
had to skip does not shift the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tidings.fields import in_zone
from tidings.messages.gate.zones import Zone, ZoneSource


def occurrence_at(first: datetime, interval_days: int, number: int, timezone: str) -> datetime:
    """The moment (UTC) of an occurrence; `first` is the naive wall-clock time of number 1.

    A time that a DST change skips is moved on by the gap; of one that it repeats the first pass is taken.
    """
    return in_zone(first + timedelta(days=interval_days) * (number - 1), timezone)


def next_occurrence(
    first: datetime, interval_days: int, number: int, timezone: str, after: datetime
) -> tuple[int, datetime]:
    """Number and moment (UTC) of the first occurrence behind `number` that lies later than `after` (UTC).

    Those that were missed meanwhile are left out, as is a day that the calendar skipped (Pacific/Apia,
    30 December 2011), whose moment is the next day's.
    """
    wall = after.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    candidate = max(number + 1, (wall - first) // timedelta(days=interval_days))
    while (moment := occurrence_at(first, interval_days, candidate, timezone)) <= after:
        candidate += 1
    return candidate, moment


def first_in(zone: Zone, row: Mapping[Any, Any], default: str) -> datetime:
    """The naive wall-clock time of a series' first occurrence in the zone that its contractor is in now.

    A contractor who moves keeps the time of day. But a series that was planned in the `default` zone (IANA name)
    before a number told where the contractor is keeps the hour that they have had it at: whoever scheduled 14:00 UTC
    meant the moment.
    """
    first: datetime = row["first_local_time"]
    days, number, moment = row["recurrence_interval_days"], row["occurrence"], row["scheduled_time"]
    if zone.source is not ZoneSource.NUMBER or occurrence_at(first, days, number, zone.name) == moment:
        return first
    if occurrence_at(first, days, number, default) != moment:
        return first
    return occurrence_at(first, days, 1, default).astimezone(ZoneInfo(zone.name)).replace(tzinfo=None)
