"""The limits that keep proactive messages welcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

STALE_AFTER = timedelta(days=3)
"""A message that has not gone out by then is of no use, unless its trigger gave it another end."""

SILENCE_AFTER = timedelta(days=7)
"""Whoever has not answered a message by then did not want it."""

SILENCE_COST = 5.0
"""Points of trust that a message without an answer costs, once."""


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What may be written to whom, and how often.

    - `pause` is the least time between two messages to one contact, counted from when the earlier one was made
      and from when it was sent.
    - `per_evaluation` is how many messages one evaluation makes at most.
    - Contacts whose trust (0 to 100) is below `approval_below` get nothing that a person has not approved
      within `approval_timeout`. Below `floor`, also what needed no approval when it was made is not sent.
    """

    pause: timedelta = timedelta(days=3)
    per_evaluation: int = 50
    approval_below: float = 40.0
    approval_timeout: timedelta = timedelta(hours=24)
    floor: float = 20.0
