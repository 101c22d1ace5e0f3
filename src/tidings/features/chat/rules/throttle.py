"""How much one page of the widget may send, and how many pages there may be at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bucket:
    """A token bucket: `burst` at once, refilled by `per_second`. `now` gives real, monotonic seconds."""

    def __init__(self, burst: int, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._now = now
        self._tokens = float(burst)
        self._at = now()

    def take(self) -> bool:
        """Whether there is room for one more; then its room is taken."""
        now = self._now()
        self._tokens = min(self._tokens + (now - self._at) * self._per_second, self._burst)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Places:
    """At most `most` places of this process are taken at once, and `most_of_one` of them by one name."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken: Counter[str] = Counter()
        self._total = 0

    @contextmanager
    def taken(self, name: str) -> Iterator[bool]:
        """A place for as long as the context lasts; False when there is none."""
        if self._total >= self._most or self._taken.get(name, 0) >= self._most_of_one:
            yield False
            return
        self._taken[name] += 1
        self._total += 1
        try:
            yield True
        finally:
            self._total -= 1
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]
