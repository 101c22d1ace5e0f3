"""How much of a queue's work is done at once, how much is prepared meanwhile, how much is not written down yet."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

HEAD_START = 0.1
"""Seconds of work that are prepared ahead of the slots. What is urgent waits for no more than that."""

MOST_AHEAD = 400
"""Jobs prepared ahead at most."""

IN_DOUBT = 3
"""For each slot, how much work may be done, or be under way, whose outcome is not written down yet."""


class Slots:
    """At most `limit` pieces of work at once, first come, first served.

    Who may begin (`enter`) works, gives its slot to the next one (`leave`), writes down what came of it and says so
    (`settle`). What a crash leaves in doubt is what has entered and not settled: never more than IN_DOUBT times the
    limit.

    Jobs beyond the limit may be prepared meanwhile (claimed from the database, many in one statement), as many as
    the slots will take within HEAD_START seconds by what the latest ones took. Slow work is not prepared ahead: it
    would be held from other workers, and from what is more urgent, for nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._working = 0
        self._unsettled = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds = HEAD_START  # that one piece of work holds a slot, the latest ones counting most
        self.ahead = self._worth_preparing()
        """How many jobs are worth preparing now, beside those that have a slot."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when `ahead` is another one."""

    @property
    def busy(self) -> bool:
        """Whether anything has a slot."""
        return self._working > 0

    @property
    def waiting(self) -> bool:
        """Whether anything waits for a slot."""
        return bool(self._waiting)

    async def enter(self) -> float:
        """Waits for a slot; the moment (of `time.perf_counter`) from which it is held, for `leave`."""
        if self._may_enter and not self._waiting:
            self._take()
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():  # it had got its slot in this very turn
                    self._working -= 1
                    self.settle()
                raise
        return time.perf_counter()

    def leave(self, entered: float) -> None:
        """The work is done, and the next one may begin; `settle` follows."""
        self._working -= 1
        self._seconds += (time.perf_counter() - entered - self._seconds) / 16
        ahead = self._worth_preparing()
        if abs(ahead - self.ahead) > self.ahead / 4:
            self.ahead = ahead
            self.on_change()
        self._let_in()

    def settle(self) -> None:
        """What came of the work is written down."""
        self._unsettled -= 1
        self._let_in()

    @property
    def _may_enter(self) -> bool:
        return self._working < self.limit and self._unsettled < IN_DOUBT * self.limit

    def _take(self) -> None:
        self._working += 1
        self._unsettled += 1

    def _let_in(self) -> None:
        while self._waiting and self._may_enter:
            place = self._waiting.popleft()
            if not place.done():
                self._take()
                place.set_result(None)

    def _worth_preparing(self) -> int:
        return int(min(self.limit * HEAD_START / max(self._seconds, 1e-6), MOST_AHEAD))
