"""It is the day on which the contact was added, a whole number of years ago, on their own calendar."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tidings.features.proactive.states import ContactState, Suggestion

MESSAGE_TYPE = "anniversary"

FROM_HOUR = 9

TEMPLATE = (
    "Hi {{ first_name }}, it is {{ years }} {% if years == 1 %}year{% else %}years{% endif %} today that we "
    "have been working together. Thank you! What should we do better?"
)


def evaluate(state: ContactState, now: datetime) -> Iterator[Suggestion]:
    """One suggestion a year, from nine in the morning there until the day's end."""
    local, since = state.local(now), state.local(state.known_since).date()
    today, years = local.date(), local.year - since.year
    if years < 1 or local.hour < FROM_HOUR or today != _in_year(since, today.year):
        return
    yield Suggestion(
        key=f"{today.year}",
        reasoning=f"The contact was added {years} {'year' if years == 1 else 'years'} ago today",
        template=TEMPLATE,
        facts={"years": years, "since": since.isoformat()},
        subject="Thank you",
        urgency=2,
        useful_until=_end_of(today, state.timezone),
    )


def _in_year(day: date, year: int) -> date:
    """The same day of another year; 29 February is kept on the 28th where there is none."""
    if (day.month, day.day) == (2, 29) and not isleap(year):
        return date(year, 2, 28)
    return day.replace(year=year)


def _end_of(day: date, timezone: str) -> datetime:
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(timezone))
    return midnight.astimezone(UTC)
