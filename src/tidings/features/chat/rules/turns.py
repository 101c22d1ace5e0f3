"""When a burst of messages is answered: once, after a short silence, and never much later than it began."""

from __future__ import annotations

from datetime import datetime

from tidings.clock import Clock

LONGEST = 15.0
"""Seconds after which a burst is answered though more messages keep coming."""


def due_after(clock: Clock, answer_by: datetime | None, debounce: float) -> tuple[datetime, datetime]:
    """When to answer (UTC) now that one more message has come, and by when at the latest.

    `answer_by` is the bound of the burst that the message belongs to, None when it begins one. `debounce` is how many
    real seconds of silence end a burst.
    """
    bound = answer_by or clock.after(LONGEST)
    return max(clock.now(), min(clock.after(debounce), bound)), bound
