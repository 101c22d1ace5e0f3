"""When the messages of a plan would leave, how late the rate limit makes them, and which limit would not.

Pure calculation. A message is due at its scheduled time, or now when that has passed; lateness counts from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tidings.engine.policy import RateLimit
from tidings.features.events.rules.limiter import Arrival, departures
from tidings.features.events.rules.plan import Planned
from tidings.features.events.rules.timing import IMMEDIATE, is_past
from tidings.features.events.types import FACTS, MessageType
from tidings.messages.statuses import Reason

LATE = timedelta(seconds=60)
"""What leaves later than this after its time is worth a warning."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Messages of one type in one minute. Times are UTC.

    `time` is when the first of them is due, `last_leaves` when the last one leaves, `lateness` the most that any
    of them is late. `useless` are those that would be of no use any more by their turn and be skipped.
    """

    time: datetime
    message_type: MessageType
    count: int
    last_leaves: datetime
    lateness: timedelta
    useless: int = 0

    @property
    def is_late(self) -> bool:
        """Whether somebody should do something about it."""
        return self.lateness > LATE


@dataclass(frozen=True, slots=True)
class Skipped:
    """Messages of one type in one minute that would not be sent. `time` (UTC) is the first one's."""

    time: datetime
    message_type: MessageType
    count: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would leave when, in order of time.

    `needed` is the smallest rate limit, over the seconds of the present one, with which every message leaves
    less than a minute late; None when none is late or there is no limit.
    """

    bursts: tuple[Burst, ...]
    skipped: tuple[Skipped, ...]
    rate_limit: RateLimit | None
    needed: RateLimit | None

    @property
    def worst(self) -> Burst | None:
        """The late burst that hurts most, or None: one bound to an hour, the latest, of the highest priority."""

        def hurt(burst: Burst) -> tuple[bool, timedelta, int]:
            return burst.message_type not in IMMEDIATE, burst.lateness, -FACTS[burst.message_type].priority

        return max((burst for burst in self.bursts if burst.is_late), key=hurt, default=None)


Useful = Callable[[MessageType, datetime, str], datetime]
"""From a message's type, scheduled time and session_key: from when on it is skipped instead of sent late."""


@dataclass(frozen=True, slots=True, order=True)
class _Alike:
    """Messages that differ only in their person. They are `due` at their time, or now when it has passed."""

    due: datetime
    message_type: MessageType
    session_key: str
    scheduled_time: datetime


def forecast(
    planned: Sequence[Planned],
    now: datetime,
    rate_limit: RateLimit | None,
    *,
    waiting: Sequence[Planned] = (),
    others: Sequence[Arrival] = (),
    useful_until: Useful | None = None,
) -> Forecast:
    """The forecast of `planned` at the moment `now` (UTC), for workers that run all the time.

    What is past is skipped, as when a schedule is made. `waiting` are messages that stand in the queue already:
    those can only be late. `others` take places in the queue and are no part of the forecast.
    """
    alike: Counter[_Alike] = Counter()
    past: list[Planned] = []
    for message in planned:
        if is_past(message, now):
            past.append(message)
        else:
            alike[_alike(message, now)] += 1
    alike.update(_alike(message, now) for message in waiting)
    groups = sorted(alike)
    arrivals = [Arrival(group.due, FACTS[group.message_type].priority, alike[group]) for group in groups]
    arrivals += [replace(other, due=max(other.due, now)) for other in others]
    return Forecast(
        bursts=tuple(_bursts(groups, arrivals, rate_limit, useful_until)),
        skipped=tuple(_skipped(past)),
        rate_limit=rate_limit,
        needed=_needed(arrivals, len(groups), rate_limit),
    )


def _alike(message: Planned, now: datetime) -> _Alike:
    time = message.scheduled_time
    return _Alike(max(time, now), message.message_type, message.session_key, time)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _bursts(
    groups: Sequence[_Alike], arrivals: Sequence[Arrival], rate_limit: RateLimit | None, useful_until: Useful | None
) -> Iterator[Burst]:
    bursts: dict[tuple[datetime, MessageType], Burst] = {}
    for departure in departures(arrivals, rate_limit):
        if departure.arrival >= len(groups):
            continue
        group = groups[departure.arrival]
        useless = useful_until and departure.at > useful_until(
            group.message_type, group.scheduled_time, group.session_key
        )
        key = _minute(group.due), group.message_type
        burst = bursts.get(key) or Burst(group.due, group.message_type, 0, departure.at, timedelta(0))
        bursts[key] = replace(
            burst,
            time=min(burst.time, group.due),
            count=burst.count + departure.count,
            last_leaves=max(burst.last_leaves, departure.at),
            lateness=max(burst.lateness, departure.at - group.due),
            useless=burst.useless + (departure.count if useless else 0),
        )
    yield from (bursts[key] for key in sorted(bursts))


def _skipped(past: Sequence[Planned]) -> Iterator[Skipped]:
    times: dict[tuple[datetime, MessageType], list[datetime]] = {}
    for message in past:
        times.setdefault((_minute(message.scheduled_time), message.message_type), []).append(message.scheduled_time)
    for minute, message_type in sorted(times):
        found = times[minute, message_type]
        yield Skipped(min(found), message_type, len(found), Reason.PAST)


def _needed(arrivals: Sequence[Arrival], ours: int, limit: RateLimit | None) -> RateLimit | None:
    """The smallest `max`, found by bisection, with which our arrivals leave in time; all in one window always do."""
    if limit is None or _worst(arrivals, ours, limit) <= LATE:
        return None
    low, high = limit.max, sum(arrival.count for arrival in arrivals)
    while high - low > 1:
        middle = (low + high) // 2
        if _worst(arrivals, ours, replace(limit, max=middle)) < LATE:
            high = middle
        else:
            low = middle
    return replace(limit, max=high)


def _worst(arrivals: Sequence[Arrival], ours: int, limit: RateLimit) -> timedelta:
    late = (
        departure.at - arrivals[departure.arrival].due
        for departure in departures(arrivals, limit)
        if departure.arrival < ours
    )
    return max(late, default=timedelta(0))
