"""What is measured, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """The things that are measured, in their order."""

    THROUGHPUT = "throughput"
    LATENESS = "lateness"
    PICKUP = "pickup"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; times are in seconds. The default takes about seven minutes.

    `jobs` is how many no-op jobs a worker gets; Python's stock worker gets an eighth, for its pace is much lower.
    `idle_before` is how long workers have idled when a lone job comes, `idle_over` how long the cost of idling
    is watched. `settle` is how long a worker that has just started is left alone, and `quiet` how long between
    the addition of the delayed jobs and the first one's due time.
    """

    measures: tuple[Measure, ...] = tuple(Measure)
    rounds: int = 3
    jobs: int = 20_000
    concurrencies: tuple[int, ...] = (10, 50, 100)
    delayed_jobs: int = 300
    quiet: float = 1.0
    idle_before: float = 60.0
    lone_jobs: int = 5
    idle_over: float = 30.0
    idle_concurrencies: tuple[int, ...] = (10, 1)
    far_jobs: int = 10_000
    settle: float = 1.5


QUICK = Plan(
    rounds=1,
    jobs=2000,
    concurrencies=(50,),
    delayed_jobs=50,
    quiet=0.5,
    idle_before=2.0,
    lone_jobs=3,
    idle_over=2.0,
    idle_concurrencies=(10,),
    far_jobs=1000,
    settle=0.5,
)
"""Small numbers, for a look in half a minute; they say little about a loaded machine."""
