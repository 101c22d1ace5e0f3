"""How old a message may be, and until when WhatsApp takes a free text in return."""

from __future__ import annotations

from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)
"""How long after a user's message WhatsApp takes free text (Cloud API, customer service window)."""

REPEATED = timedelta(days=7)
"""For how long Meta repeats a webhook that nobody took. An older time is not believed: it is a sample's, or wrong."""


def read_moment(told: datetime | None, now: datetime) -> datetime:
    """When a message was written (UTC): as its provider tells, where that can be, else now."""
    return told if told is not None and now - REPEATED <= told <= now else now


def is_late(written_at: datetime, now: datetime) -> bool:
    """Whether WhatsApp takes no free text in return any more, so that a person has to see to it."""
    return now - written_at >= WINDOW
