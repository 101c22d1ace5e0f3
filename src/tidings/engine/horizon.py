"""How far ahead jobs are kept in Redis. Rows that are due later wait in the database alone."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from tidings.errors import ConfigurationError

_HOURS = re.compile(r"\d+(?:\.\d+)?")
_CROWD = 100_000
_CALM = 80_000  # lower, so that the horizon does not come and go with single jobs
_AUTOMATIC = 6 * 3600.0
_FRESH = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class HorizonPolicy:
    """`seconds` None: everything is kept. With `when_crowded`, the horizon counts once many jobs are delayed."""

    seconds: float | None = None
    when_crowded: bool = False

    @classmethod
    def read(cls, setting: str) -> HorizonPolicy:
        """TIDINGS_LOADING_HORIZON: hours, `off` or `auto`. Raises ConfigurationError for anything else."""
        word = setting.strip().lower()
        if word == "off":
            return cls()
        if word == "auto":
            return cls(_AUTOMATIC, when_crowded=True)
        if not _HOURS.fullmatch(word) or not 0.1 <= float(word) <= 24 * 366:
            raise ConfigurationError(
                f"TIDINGS_LOADING_HORIZON is {setting!r}; give hours from 0.1 to 8784, like 6, or auto, or off."
            )
        return cls(float(word) * 3600)


class Horizon:
    """What the policy comes to now. `count` counts the delayed jobs in Redis."""

    def __init__(self, policy: HorizonPolicy, count: Callable[[], Awaitable[int]]) -> None:
        self._policy = policy
        self._count = count
        self._delayed = 0
        self._counted_at = float("-inf")
        self._crowded = False

    def note_added(self, jobs: int) -> None:
        """So many delayed jobs were added since the last count, perhaps."""
        self._delayed += jobs

    async def seconds(self) -> float | None:
        """How many real seconds ahead jobs are kept in Redis now, None for all."""
        if not self._policy.when_crowded:
            return self._policy.seconds
        if monotonic() - self._counted_at > _FRESH:
            self._delayed = await self._count()
            self._counted_at = monotonic()
        self._crowded = self._delayed > (_CALM if self._crowded else _CROWD)
        return self._policy.seconds if self._crowded else None
