"""A goal has open steps on its checklist, and nothing has happened to it for five days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tidings.features.proactive.states import ContactState, Suggestion

MESSAGE_TYPE = "check_in"

PENDING_DAYS = 5

TEMPLATE = (
    'Hi {{ first_name }}, how is "{{ goal | truncate: 80 }}" going? '
    "{% if open_steps > 1 %}{{ open_steps }} steps are still open; the next one is"
    "{% else %}The last open step is{% endif %} "
    '"{{ next_step | truncate: 80 }}". Reply if we can help.'
)


def evaluate(state: ContactState, now: datetime) -> Iterator[Suggestion]:
    """One suggestion for each stretch without progress."""
    for goal in state.goals:
        days, pending = goal.idle_days(now), goal.pending
        if pending and days >= PENDING_DAYS:
            steps = "item" if len(pending) == 1 else "items"
            yield Suggestion(
                key=f"{goal.id}-{goal.last_progress_at:%Y%m%dT%H%M%S}",
                reasoning=(
                    f"Goal #{goal.id} has {len(pending)} pending checklist {steps} and no progress for {days} days"
                ),
                template=TEMPLATE,
                facts={"goal": goal.title, "open_steps": len(pending), "next_step": pending[0].title},
                subject="How is it going?",
                urgency=5,
                goal_id=goal.id,
            )
