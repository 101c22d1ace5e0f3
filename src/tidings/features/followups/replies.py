"""What contractors answer, stored with the follow-up that they answer; nothing that they wrote is lost."""

from __future__ import annotations

from datetime import datetime

from tidings.features.followups.models import FollowUp

OPTED_OUT = "opted_out"
POSITIVE = 0.05
"""The sentiment from which a reply is positive: VADER's own threshold."""


def add_reply(
    row: FollowUp, text: str, received_at: datetime, sentiment: float | None, action: str | None, now: datetime
) -> None:
    """Adds one reply to a locked row. `sentiment` is None for a command, which is no opinion.

    The first reply gives the time of response, further ones stand below it in the text. Of several opinions
    the strongest is kept, and an opt-out is not hidden by what comes after it.
    """
    row.response_text = text if row.response_text is None else f"{row.response_text}\n{text}"
    row.response_received_at = min(received_at, row.response_received_at or received_at)
    if sentiment is not None and abs(sentiment) >= abs(row.sentiment_score or 0.0):
        row.sentiment_score = sentiment
    if action is not None and row.action_taken != OPTED_OUT:
        row.action_taken = action
    row.updated_at = now
