"""Slowing down for one provider by what it says, and getting faster again by itself.

The rules are TCP's (RFC 5681). What a provider takes is unknown at its first refusal: if few messages were under way,
it may take a hundred times as many. So the rate starts low and doubles quickly (slow start). When that is refused as
well, what the provider has taken meanwhile says what it takes: the rate is halved, and afterwards grows steadily,
here by time.

Each message that has to wait is given a place in a line, a moment that is its own. The places are planned as if the
provider took every message; a refusal (429) makes a new plan, in the same order and with nobody earlier, and
whoever comes at an old time learns the new one. So does whoever makes way for a message that goes before it: that one
gets the first place of those which go after it, and each of these the place of the next.
"""

from __future__ import annotations

import itertools
import math
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator

SLOWEST = 0.2
"""Messages per second, at least."""

SHORT_PAUSE = 0.25
"""Seconds without a message after a lone refusal that names no time."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""The same after refusals of a burst, or of one after another: doubled each time until one is taken."""

START, STARTING = 4.0, 0.5
"""Messages per second at which slow start begins, at least, and the seconds in which it doubles."""

RECOVERY = 60.0
"""Seconds in which the rate would grow from nothing to what it was before the refusal."""

DOUBLING = 4.0
"""Seconds in which the rate doubles once it is beyond that, as long as messages stand in line."""

FORGOTTEN = 10.0
"""Seconds after its time that a message may still use its place."""

_WINDOW = 5  # seconds over which the achieved rate is observed
_EARLY = 0.001  # seconds: BullMQ's times are whole milliseconds, and a timer may be as much early


class Pace:
    """How fast one provider is given messages by this process. `now` gives real, monotonic seconds.

    A message asks `wait`; what became of it is told by `taken` or `throttled`. Not for use by several threads.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._achieved = _AchievedRate()
        self._plan: _Plan | None = None
        self._refusals = 0  # that counted, since the provider last took a message

    def wait(self, key: str, priority: int = 0) -> float:
        """Seconds until the message `key` may be handed over; 0.0 means now, and uses its place up.

        A message that is told to wait has the place of that moment: coming back then, or up to 10 s later, it is let
        through, unless the provider refused another one meanwhile, or one came that goes before it. If it does not
        come, nobody waits for it. `priority` is BullMQ's: 1 goes first, 0 before every priority, equals in order.
        """
        if self._plan is None:
            return 0.0
        now = self._now()
        plan = self._current(now)
        return 0.0 if plan is None else plan.wait(key, priority, now)

    def throttled(self, retry_after: float | None) -> None:
        """The provider refused a message with 429; `retry_after` is the seconds it asked for, if it did.

        Refusals of one burst, until a message is let through after the pause, slow down once.
        """
        now = self._now()
        plan = self._current(now)
        asked = retry_after if retry_after is not None and retry_after > 0 else None
        if plan is not None and not plan.in_use:  # another one of the same burst
            plan.start = max(plan.start, plan.refused + FIRST_PAUSE if asked is None else now + asked)
            return
        known = plan.rate_at(now) if plan is not None and isinstance(plan.rate, _Growth) else self._achieved.at(now)
        first = plan is None and not self._refusals
        usual = SHORT_PAUSE if first else min(FIRST_PAUSE * 2 ** max(self._refusals - 1, 0), LONGEST_PAUSE)
        self._refusals = min(self._refusals + 1, 10)
        rate = _SlowStart(known) if first else _Growth(known)
        self._plan = _Plan(now, usual if asked is None else asked, rate, plan)

    def taken(self) -> None:
        """The provider took a message."""
        self._achieved.count(self._now())
        if self._plan is None or self._plan.in_use:  # in a pause it is news from before the refusal
            self._refusals = 0

    def rate(self) -> float | None:
        """Messages per second now allowed, in a pause those after it; None: unlimited."""
        now = self._now()
        plan = self._current(now)
        return None if plan is None else plan.rate_at(now)

    def _current(self, now: float) -> _Plan | None:
        if self._plan is not None and self._plan.is_over(now):
            self._plan = None
        return self._plan


class _SlowStart:
    """Messages per second at a time after the pause, where what the provider takes is not known."""

    def __init__(self, before: float) -> None:
        self.first = max(before / 2, START)
        self.goal = max(before, self.first)
        self.recovered = STARTING * max(math.log2(self.goal / self.first), 1.0)

    def __call__(self, elapsed: float) -> float:
        return self.first * float(2 ** (max(elapsed, 0.0) / STARTING))


class _Growth:
    """The same where it is known by the rate at which messages were refused."""

    def __init__(self, before: float) -> None:
        self.goal = max(before, SLOWEST)
        self.first = max(before / 2, SLOWEST)
        self.recovered = RECOVERY * (1 - self.first / self.goal)

    def __call__(self, elapsed: float) -> float:
        if elapsed < self.recovered:
            return self.first + self.goal / RECOVERY * max(elapsed, 0.0)
        # A line that is still there at the old rate is reason to look for what the provider takes now.
        return self.goal * float(2 ** ((elapsed - self.recovered) / DOUBLING))


class _Plan:
    """Who goes when, from the end of a pause until the provider needs no care any more.

    `start` is the end of the pause that began at `refused`; every place is kept in seconds after it, so that a longer
    pause moves them all.
    """

    def __init__(self, refused: float, pause: float, rate: _SlowStart | _Growth, old: _Plan | None) -> None:
        self.refused = refused
        self.start = refused + pause
        self.rate = rate
        self.in_use = False
        self._free = 0.0  # the first place that nobody has
        self._line = _Line()
        if old is not None:
            self._take_over(old)

    def rate_at(self, now: float) -> float:
        return self.rate(now - self.start)

    def is_over(self, now: float) -> bool:
        """Whether the rate is what it was before the refusal, and nobody is in line."""
        elapsed = now - self.start
        self._line.advance(elapsed + _EARLY)
        return elapsed >= self.rate.recovered and self._free - elapsed <= 1 / self.rate.goal and not self._line

    def wait(self, key: str, priority: int, now: float) -> float:
        elapsed = now - self.start
        place = self._line.place_of(key)
        if place is None:
            self._free = max(self._free, elapsed)
            place = self._line.insert(key, priority, self._new_place())
            self._line.advance(elapsed + _EARLY)
        if place - elapsed > _EARLY:
            return place - elapsed
        self.in_use = True
        self._line.remove(key)
        return 0.0

    def _take_over(self, old: _Plan) -> None:
        for key, priority, place in sorted(old._line.waiting(), key=lambda waiting: waiting[1]):
            # It comes back at its old time and not before, so the next one keeps its distance from that.
            self._free = max(self._free, old.start + place - self.start)
            self._line.insert(key, priority, self._new_place())

    def _new_place(self) -> float:
        place = self._free
        self._free += 1 / self.rate(place)
        return place


class _Line:
    """Who has which place. Places that are still to come are given by priority, then first come, first served."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._entries: dict[str, tuple[int, int, str]] = {}  # priority, number and key of those who stand in line
        self._line: list[tuple[int, int, str]] = []  # in order
        self._places: list[float] = []  # theirs
        self._come: dict[str, tuple[int, float]] = {}  # priority and place of those whose place has come, in order

    def __len__(self) -> int:
        return len(self._come) + len(self._line)

    def waiting(self) -> Iterator[tuple[str, int, float]]:
        """Everybody's key, priority and place."""
        yield from ((key, priority, place) for key, (priority, place) in self._come.items())
        yield from ((key, priority, at) for (priority, _, key), at in zip(self._line, self._places, strict=True))

    def advance(self, now: float) -> None:
        """Places up to now have come: nobody else gets those. Who did not use one for FORGOTTEN seconds is gone."""
        come = bisect_right(self._places, now)
        for (priority, _, key), place in zip(self._line[:come], self._places[:come], strict=True):
            del self._entries[key]
            self._come[key] = priority, place
        del self._line[:come], self._places[:come]
        while self._come and self._come[key := next(iter(self._come))][1] + FORGOTTEN < now:
            del self._come[key]

    def place_of(self, key: str) -> float | None:
        if key in self._come:
            return self._come[key][1]
        entry = self._entries.get(key)
        return None if entry is None else self._places[bisect_left(self._line, entry)]

    def insert(self, key: str, priority: int, last: float) -> float:
        """The place of a new one; whoever goes after it gets that of the next, and the last one gets `last`."""
        entry = self._entries[key] = priority, next(self._numbers), key
        index = bisect_left(self._line, entry)
        self._line.insert(index, entry)
        self._places.append(last)
        return self._places[index]

    def remove(self, key: str) -> None:
        """It has used its place, which has come."""
        del self._come[key]


class _AchievedRate:
    """Messages per second over the last seconds in which there were any."""

    def __init__(self) -> None:
        self._seconds: deque[list[float]] = deque(maxlen=_WINDOW)  # each: when it began, messages since

    def count(self, now: float) -> None:
        if self._seconds and now - self._seconds[-1][0] < 1.0:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([now, 1])

    def at(self, now: float) -> float:
        recent = [second for second in self._seconds if now - second[0] < _WINDOW]
        if not recent:
            return 0.0
        return sum(messages for _, messages in recent) / max(now - recent[0][0], 1.0)
