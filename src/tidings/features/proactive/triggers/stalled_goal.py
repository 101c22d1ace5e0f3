"""A goal without open steps on a checklist has had no progress for ten days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tidings.features.proactive.states import ContactState, Suggestion

MESSAGE_TYPE = "stalled_goal"

STALLED_DAYS = 10

TEMPLATE = (
    'Hi {{ first_name }}, we have not heard about "{{ goal | truncate: 80 }}" for a while. '
    "What would help you with the next step? Reply and we will get back to you."
)


def evaluate(state: ContactState, now: datetime) -> Iterator[Suggestion]:
    """One suggestion for each stretch without progress."""
    for goal in state.goals:
        days = goal.idle_days(now)
        if not goal.pending and days >= STALLED_DAYS:
            yield Suggestion(
                key=f"{goal.id}-{goal.last_progress_at:%Y%m%dT%H%M%S}",
                reasoning=f"Goal #{goal.id} is at {goal.progress} percent and has had no progress for {days} days",
                template=TEMPLATE,
                facts={"goal": goal.title},
                subject="What would help you?",
                urgency=6,
                goal_id=goal.id,
            )
