"""What time it is. Every moment inside Tidings is an aware UTC datetime.

Three clocks share one interface: the system's, one that runs faster (the demo squeezes a day into a
minute) and one moved by hand (tests, rehearsals). Code asks the clock it was given, never the machine.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol


class Clock(Protocol):
    """The present moment, and how it relates to the seconds a person waits."""

    def now(self) -> datetime:
        """The present moment, UTC."""
        ...

    def seconds_until(self, moment: datetime) -> float:
        """Real seconds from now to `moment`; negative when it has passed."""
        ...

    def after(self, seconds: float) -> datetime:
        """The moment that many real seconds from now."""
        ...

    def monotonic(self) -> float:
        """Real seconds since some moment; they never go back."""
        ...


class SystemClock:
    """The machine's clock, put right by `offset` seconds where it is known to be wrong."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.offset, UTC)

    def seconds_until(self, moment: datetime) -> float:
        return moment.timestamp() - self.offset - time.time()

    def after(self, seconds: float) -> datetime:
        return self.now() + timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Stage:
    """From the moment `start` on, the clock runs `rate` times as fast as the machine's."""

    start: datetime
    rate: float


class AcceleratedClock:
    """Starts at the first stage's moment when it is made, and runs through its stages.

    Stages let a rehearsal hurry through the night and linger over the day.
    """

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages
        self._started = time.time()
        self._offsets = [0.0]  # real seconds from the start to each stage
        for stage, following in pairwise(stages):
            length = (following.start - stage.start).total_seconds() / stage.rate
            self._offsets.append(self._offsets[-1] + length)

    def now(self) -> datetime:
        return self._at(time.time() - self._started)

    def seconds_until(self, moment: datetime) -> float:
        index = max(bisect_right([stage.start for stage in self._stages], moment) - 1, 0)
        stage = self._stages[index]
        offset = self._offsets[index] + (moment - stage.start).total_seconds() / stage.rate
        return self._started + offset - time.time()

    def after(self, seconds: float) -> datetime:
        return self._at(time.time() - self._started + seconds)

    def monotonic(self) -> float:
        return time.monotonic()

    def _at(self, elapsed: float) -> datetime:
        index = max(bisect_right(self._offsets, elapsed) - 1, 0)
        stage = self._stages[index]
        return stage.start + timedelta(seconds=(elapsed - self._offsets[index]) * stage.rate)


class ManualClock:
    """Stands still until `move` is called."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def seconds_until(self, moment: datetime) -> float:
        return (moment - self._now).total_seconds()

    def after(self, seconds: float) -> datetime:
        return self._now + timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return self._now.timestamp()

    def move(self, by: timedelta) -> datetime:
        """Moves the clock and returns its new moment."""
        self._now += by
        return self._now


def to_milliseconds(moment: datetime) -> datetime:
    """`moment` without what a queue cannot keep: BullMQ's times are whole milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
