"""How much of a queue's work is done at once, and how much is prepared meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

HEAD_START = 0.1
"""Seconds of work that are prepared ahead of the slots. What is urgent waits for no more than that."""

MOST_AHEAD = 400
"""Jobs prepared ahead at most."""


class Slots:
    """At most `limit` pieces of work at once, first come, first served: `async with slots: …`.

    Jobs beyond the limit may be prepared meanwhile (claimed from the database, many in one statement), as many as
    the slots will take within HEAD_START seconds by what the latest ones took. Slow work is not prepared ahead: it
    would be held from other workers, and from what is more urgent, for nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds = HEAD_START  # that one piece of work holds a slot, the latest ones counting most
        self.ahead = self._worth_preparing()
        """How many jobs are worth preparing now, beside those that have a slot."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when `ahead` is another one."""

    @property
    def busy(self) -> bool:
        """Whether anything has a slot."""
        return self._free < self.limit

    @property
    def waiting(self) -> bool:
        """Whether anything waits for a slot."""
        return bool(self._waiting)

    async def __aenter__(self) -> float:
        if self._free and not self._waiting:
            self._free -= 1
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._leave()
                raise
        return time.perf_counter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def took(self, seconds: float) -> None:
        """How long a piece of work held its slot."""
        self._seconds += (seconds - self._seconds) / 16
        ahead = self._worth_preparing()
        if abs(ahead - self.ahead) > self.ahead / 4:
            self.ahead = ahead
            self.on_change()

    def _worth_preparing(self) -> int:
        return int(min(self.limit * HEAD_START / max(self._seconds, 1e-6), MOST_AHEAD))

    def _leave(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
