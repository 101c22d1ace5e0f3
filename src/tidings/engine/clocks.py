"""One time for rows and jobs: the clocks of this machine, of Redis and of the database are compared all the time.

Rows are due by the middle one of the three, so that a single clock that is wrong makes no message early or late, and
all processes agree on whatever machine they run. Where the database lives on this machine there are two, and this
machine's counts. Jobs are due by Redis's clock, so their times are written as Redis counts them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import NamedTuple

from tidings.clock import Clock, SystemClock
from tidings.engine.queues import Queues
from tidings.log import get_logger

log = get_logger(__name__)

Ask = Callable[[], Awaitable[float]]
"""The epoch seconds that a server's clock shows."""

SMALL = 0.05
"""Seconds by which clocks may differ before this machine's is put right."""

ALARMING = 1.0
"""Seconds by which a clock may be wrong before a warning is logged."""

INTERVAL = 30.0
"""Seconds between two comparisons."""

_LOOK = 1.0  # seconds between two looks at whether somebody has set this machine's clock
_SET = 0.02  # seconds that it jumps when somebody has
_SAMPLES = 3


class Offset(NamedTuple):
    """By how many seconds a clock is ahead of this machine's, and how wrong that may be."""

    seconds: float
    error: float


class Clocks:
    """Compares the clocks of one process and puts its `clock` right, unless that shows another time on purpose.

    `database` asks the database's clock, where that is another machine's.
    """

    def __init__(self, clock: Clock, queues: Queues, database: Ask | None) -> None:
        self._clock = clock
        self._queues = queues
        self._ask: dict[str, Ask] = {"redis": queues.server_time}
        if database is not None:
            self._ask["database"] = database
        self._offsets: dict[str, Offset] = {}
        self._alarmed: dict[str, float] = {}
        self._measured = self._setting = 0.0  # when, by the machine's monotonic clock, and how its clock was set then

    async def measure(self) -> None:
        """Compares the clocks now. What cannot be asked is taken to be as it was."""
        self._measured, self._setting = time.monotonic(), time.time() - time.monotonic()
        for name, ask in self._ask.items():
            try:
                found = min([await _sample(ask) for _ in range(_SAMPLES)], key=lambda offset: offset.error)
            except Exception as error:  # whoever needs the server says so, and louder
                log.debug("clock not measured", clock=name, error=str(error))
            else:
                self._offsets[name] = _better(self._offsets.get(name), found)
        self._queues.server_ahead = self._ahead("redis")
        if isinstance(self._clock, SystemClock):
            middle = median([0.0, *map(self._ahead, self._ask)]) if len(self._offsets) > 1 else 0.0
            wanted = middle if abs(middle) >= SMALL else 0.0
            if abs(wanted - self._clock.offset) >= SMALL:  # it may go back, so not for nothing
                self._clock.offset = wanted
        self._alarm()

    async def run(self) -> None:
        """Goes on comparing them until cancelled."""
        while True:
            await asyncio.sleep(_LOOK)
            set_by = time.time() - time.monotonic() - self._setting
            if time.monotonic() >= self._measured + INTERVAL or abs(set_by) >= _SET:
                await self.measure()

    def offsets(self) -> Mapping[str, float]:
        """By how many seconds each clock is ahead of the one that counts; `app` is this machine's."""
        right = self._clock.offset if isinstance(self._clock, SystemClock) else 0.0
        return {
            name: round(seconds - right, 3)
            for name, seconds in {"app": 0.0, **{name: self._ahead(name) for name in self._offsets}}.items()
        }

    def _ahead(self, name: str) -> float:
        found = self._offsets.get(name)
        # An offset within the error of its own measurement is none.
        return found.seconds if found is not None and abs(found.seconds) > found.error else 0.0

    def _alarm(self) -> None:
        """One line for each clock that becomes wrong, that becomes right, or that is wrong by something else."""
        for name, seconds in self.offsets().items():
            told = self._alarmed.get(name)
            if abs(seconds) < ALARMING:
                if told is not None:
                    del self._alarmed[name]
                    log.info("clock is right again", clock=name, seconds_ahead=seconds)
            elif told is None or abs(seconds - told) >= ALARMING:
                self._alarmed[name] = seconds
                log.warning("clock is wrong", clock=name, seconds_ahead=seconds)


async def _sample(ask: Ask) -> Offset:
    asked, by_timer = time.time(), time.perf_counter()
    told = await ask()
    half = (time.perf_counter() - by_timer) / 2
    return Offset(told - (asked + half), half)


def _better(known: Offset | None, found: Offset) -> Offset:
    """What is measured more exactly, or shows that the clocks have moved."""
    if known is None or found.error <= known.error or abs(found.seconds - known.seconds) > found.error + known.error:
        return found
    return known
