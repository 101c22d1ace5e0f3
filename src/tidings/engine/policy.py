"""What a queue promises: how many jobs at once, how many a minute, how often and how soon again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tidings.errors import ConfigurationError

_SECONDS = re.compile(r"\d+(?:\.\d+)?")
_RATE = re.compile(rf"(\d+)\s*/\s*({_SECONDS.pattern})")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `max` jobs start in a window of `seconds`, over all workers; a window opens with its first job."""

    max: int
    seconds: float


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """A queue's declared behaviour.

    `backoff` is the wait in seconds after the first failed attempt; it doubles with each further one.
    `keep_completed` and `keep_failed` are how many finished jobs stay readable in Redis; where
    `keep_completed_seconds` or `keep_failed_seconds` is set, they stay for so long instead, however many they are.
    """

    name: str
    concurrency: int = 1
    rate_limit: RateLimit | None = None
    attempts: int = 3
    backoff: float = 5.0
    keep_completed: int = 1000
    keep_failed: int = 1000
    keep_completed_seconds: int | None = None
    keep_failed_seconds: int | None = None

    @property
    def variable(self) -> str:
        """`event-messages` → `EVENT_MESSAGES`, the start of its settings' names."""
        return re.sub(r"\W", "_", self.name).upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment's names of its settings."""
        return tuple(f"{self.variable}_{setting}" for setting in ("CONCURRENCY", "RATE_LIMIT", "ATTEMPTS", "BACKOFF"))

    def configured(self, env: Mapping[str, str]) -> QueuePolicy:
        """This policy with what the environment changes about it.

        For a queue `event-messages` these are EVENT_MESSAGES_CONCURRENCY (jobs), EVENT_MESSAGES_RATE_LIMIT
        (`20/60`: 20 jobs in 60 seconds, or `off`), EVENT_MESSAGES_ATTEMPTS and EVENT_MESSAGES_BACKOFF
        (seconds). Raises ConfigurationError for a value of another form.
        """
        changes: dict[str, object] = {}
        for setting in ("concurrency", "attempts"):
            if raw := env.get(f"{self.variable}_{setting.upper()}"):
                if not raw.isdecimal() or int(raw) < 1:
                    raise ConfigurationError(
                        f"{self.variable}_{setting.upper()} is {raw!r}; give a whole number, at least 1."
                    )
                changes[setting] = int(raw)
        if raw := env.get(f"{self.variable}_BACKOFF"):
            if not _SECONDS.fullmatch(raw):
                raise ConfigurationError(f"{self.variable}_BACKOFF is {raw!r}; give seconds, like 5.")
            changes["backoff"] = float(raw)
        if raw := env.get(f"{self.variable}_RATE_LIMIT"):
            changes["rate_limit"] = self._rate_limit(raw)
        return replace(self, **changes)  # type: ignore[arg-type]

    def _rate_limit(self, raw: str) -> RateLimit | None:
        if raw.strip().lower() == "off":
            return None
        found = _RATE.fullmatch(raw.strip())
        if not found or int(found[1]) < 1 or float(found[2]) < 0.001:
            raise ConfigurationError(f"{self.variable}_RATE_LIMIT is {raw!r}; give jobs/seconds, like 20/60, or off.")
        return RateLimit(int(found[1]), float(found[2]))

    @property
    def retention(self) -> dict[str, dict[str, int]]:
        """How long finished jobs stay, as BullMQ's job options."""
        return {
            "removeOnComplete": _keep(self.keep_completed, self.keep_completed_seconds),
            "removeOnFail": _keep(self.keep_failed, self.keep_failed_seconds),
        }

    @property
    def backoff_option(self) -> dict[str, object]:
        """The waits between attempts, as BullMQ's job option."""
        return {"type": "exponential", "delay": round(self.backoff * 1000)}

    def backoff_after(self, attempt: int) -> float:
        """Seconds to wait after the given failed attempt, counted from 1."""
        return float(self.backoff * 2 ** (attempt - 1))


def _keep(count: int, seconds: int | None) -> dict[str, int]:
    return {"count": count} if seconds is None else {"age": seconds}
