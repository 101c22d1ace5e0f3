"""When the jobs of a rate-limited queue start: BullMQ's limiter, played through without a queue.

Its window is fixed: it opens with the first job that starts while none is open, lets `max` jobs start, and
closes after its time. What waits then starts in the next window, the higher priority (1 is the highest)
first, equals in the order in which they came.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidings.engine.policy import RateLimit


@dataclass(frozen=True, slots=True)
class Arrival:
    """`count` jobs that may start from `due` on. Priority 1 goes first."""

    due: datetime
    priority: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Departure:
    """`count` jobs of the arrival with this index start `at` this moment."""

    arrival: int
    at: datetime
    count: int


def departures(arrivals: Sequence[Arrival], limit: RateLimit | None) -> Iterator[Departure]:
    """Who starts when, in order of time. The jobs' own duration is left out."""
    coming = sorted(range(len(arrivals)), key=lambda index: arrivals[index].due)
    if limit is None:
        yield from (Departure(index, arrivals[index].due, arrivals[index].count) for index in coming)
        return
    if not coming:
        return
    ready: list[tuple[int, int, int, int]] = []  # priority, place in `coming`, index, how many are left
    place = 0
    moment = closes = arrivals[coming[0]].due
    free = 0
    while ready or place < len(coming):
        if not ready:
            moment = max(moment, arrivals[coming[place]].due)
        if free == 0:
            moment = max(moment, closes)
        while place < len(coming) and arrivals[coming[place]].due <= moment:
            index = coming[place]
            heapq.heappush(ready, (arrivals[index].priority, place, index, arrivals[index].count))
            place += 1
        if moment >= closes:
            closes, free = moment + timedelta(seconds=limit.seconds), limit.max
        priority, order, index, left = heapq.heappop(ready)
        taken = min(left, free)
        free -= taken
        yield Departure(index, moment, taken)
        if left > taken:
            heapq.heappush(ready, (priority, order, index, left - taken))
