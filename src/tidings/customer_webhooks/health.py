"""When an endpoint that takes no events is warned about, and when it gets no more.

Only events that failed for good count, each after all its attempts, and one that is delivered ends the row of them.
A number alone would disable an endpoint within seconds of a busy hour's outage, and a time alone one that failed
twice in a week; so both have to be reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

WARN_FAILURES, WARN_TIME = 5, timedelta(hours=6)
"""An endpoint is warned about when so many events in a row have failed, the first of them so long ago."""

DISABLE_FAILURES, DISABLE_TIME = 10, timedelta(days=3)
"""A warned endpoint is disabled when so many events in a row have failed, the first of them so long ago."""

GRACE = timedelta(days=1)
"""How long after its warning an endpoint is disabled at the earliest, so that somebody can mend it."""


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint has fared since it last took an event. Times are UTC."""

    failures: int = 0
    failing_since: datetime | None = None
    warned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """An endpoint's new health, and what is to be done now: at most one of the two."""

    health: Health
    warn: bool = False
    disable: bool = False


def after_failures(health: Health, failures: int, now: datetime) -> Verdict:
    """What `failures` more events, which failed for good at `now` (UTC), mean for an endpoint."""
    since = health.failing_since or now
    count, warned_at = health.failures + failures, health.warned_at
    disable = (
        warned_at is not None
        and count >= DISABLE_FAILURES
        and now - since >= DISABLE_TIME
        and now - warned_at >= GRACE
    )
    warn = warned_at is None and count >= WARN_FAILURES and now - since >= WARN_TIME
    return Verdict(Health(count, since, now if warn else warned_at), warn=warn, disable=disable)
