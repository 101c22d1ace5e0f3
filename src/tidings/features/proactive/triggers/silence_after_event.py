"""An event ended two to fourteen days ago, and its guest has not written a word since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tidings.features.proactive.states import ContactState, Suggestion

MESSAGE_TYPE = "silence_after_event"

EVENT_ENDED = "event_ended"
AFTER = timedelta(days=2)
UNTIL = timedelta(days=14)

TEMPLATE = (
    "Hi {{ first_name }}, thank you again for coming to {{ event_name | truncate: 80 }}. "
    "What will you take up from it? Reply if we can help you with it."
)


def evaluate(state: ContactState, now: datetime) -> Iterator[Suggestion]:
    """One suggestion for each event."""
    for moment in state.activities:
        if moment.kind != EVENT_ENDED or not AFTER <= now - moment.at <= UNTIL:
            continue
        if state.last_reply is not None and state.last_reply >= moment.at:
            continue
        name, days = str(moment.facts["event_name"]), (now - moment.at).days
        yield Suggestion(
            key=f"{moment.facts.get('event_id') or f'{moment.at:%Y%m%dT%H%M%S}'}",
            reasoning=f"{name} ended {days} days ago, and the contact has not replied to anything since",
            template=TEMPLATE,
            facts={"event_name": name},
            subject="After the event",
            urgency=4,
        )
