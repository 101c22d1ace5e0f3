"""The server's clock: what is due is due by it, on whatever machine a worker runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tidings.engine.worker.pipeline import Pipeline

_SAMPLES = 3

SCHEDULING = {"addJobScheduler": (0, 6), "updateJobScheduler": (0, 4)}
"""BullMQ's scripts that are told times by this machine's clock, and the places of those among their arguments."""


def in_server_time(script: str, arguments: Sequence[Any], ahead: float) -> list[Any]:
    """A script's arguments, with times as a server counts them that is so many seconds ahead."""
    told = list(arguments)
    for place in SCHEDULING.get(script, ()):
        told[place] = told[place] and told[place] + round(ahead * 1000)
    return told


class ServerClock:
    """Epoch milliseconds as the Redis server counts them, from this machine's clock and a measured offset."""

    def __init__(self) -> None:
        self._offset = 0.0  # seconds by which the server's clock is ahead
        self._round_trip = 0.0  # seconds, of the measurement that the offset is from

    @property
    def ahead(self) -> float:
        """Seconds by which the server's clock is ahead of this machine's."""
        return self._offset

    def milliseconds(self) -> float:
        """Now, with fractions."""
        return (time.time() + self._offset) * 1000

    async def set(self, pipeline: Pipeline) -> None:
        """Measures the offset on a connection that is otherwise silent. Raises what `Pipeline.send` raises."""
        samples = [await self._sample(pipeline) for _ in range(_SAMPLES)]
        self._accept(*min(samples, key=lambda sample: sample[1]))

    async def correct(self, pipeline: Pipeline) -> None:
        """Follows a drift; a reply that took too long to tell is ignored."""
        offset, round_trip = await self._sample(pipeline)
        if round_trip <= max(2 * self._round_trip, 0.0005):
            self._accept(offset, round_trip)

    async def _sample(self, pipeline: Pipeline) -> tuple[float, float]:
        asked, by_timer = time.time(), time.perf_counter()
        seconds, microseconds = await pipeline.send("TIME")
        round_trip = time.perf_counter() - by_timer
        return int(seconds) + int(microseconds) / 1e6 - (asked + round_trip / 2), round_trip

    def _accept(self, offset: float, round_trip: float) -> None:
        # An offset within the error of its own measurement is none: both clocks are the same, as on one machine.
        self._offset = offset if abs(offset) > round_trip / 2 else 0.0
        self._round_trip = round_trip
