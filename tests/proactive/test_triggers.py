"""When each trigger writes, and why it says it does. Pure: a state and a moment in, impulses out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from proactive.desk import DAY, NOW
from tidings.feature import Activity
from tidings.features.proactive.discovery import find_triggers
from tidings.features.proactive.states import ContactState, GoalState, ItemState, Suggestion
from tidings.messages.text.templates import render

TRIGGERS = {trigger.message_type: trigger for trigger in find_triggers()}


def state(**values: Any) -> ContactState:
    known = {
        "contractor_id": 7,
        "channel": "sms",
        "name": "Ada Abara",
        "first_name": "Ada",
        "company_name": None,
        "timezone": "America/New_York",
        "known_since": NOW - 40 * DAY,
        "trust": 50.0,
    }
    return ContactState(**{**known, **values})


def goal(idle: timedelta, *done: bool, number: int = 5) -> GoalState:
    items = tuple(ItemState(index, f"Step {index}", is_done) for index, is_done in enumerate(done, start=1))
    return GoalState(number, "Win three clients", 40, NOW - idle, items)


def ended(ago: timedelta, **facts: Any) -> Activity:
    return Activity(7, "event_ended", NOW - ago, {"event_name": "Expo", **facts})


def feel(message_type: str, contact: ContactState, now: datetime = NOW) -> list[Suggestion]:
    return list(TRIGGERS[message_type].evaluate(contact, now))


@pytest.mark.parametrize(
    ("goals", "reasons"),
    [
        ([], []),
        ([goal(9 * DAY)], []),
        ([goal(9 * DAY, True, True)], []),
        ([goal(5 * DAY - timedelta(seconds=1), False)], []),
        ([goal(5 * DAY, False)], ["Goal #5 has 1 pending checklist item and no progress for 5 days"]),
        ([goal(9 * DAY, True, False, False)], ["Goal #5 has 2 pending checklist items and no progress for 9 days"]),
        (
            [goal(6 * DAY, False), goal(DAY, False, number=6), goal(7 * DAY, False, number=8)],
            [
                "Goal #5 has 1 pending checklist item and no progress for 6 days",
                "Goal #8 has 1 pending checklist item and no progress for 7 days",
            ],
        ),
    ],
)
def test_a_goal_with_open_steps_is_asked_about_after_five_days(goals: list[GoalState], reasons: list[str]) -> None:
    assert [one.reasoning for one in feel("check_in", state(goals=tuple(goals)))] == reasons


@pytest.mark.parametrize(
    ("goals", "reasons"),
    [
        ([], []),
        ([goal(10 * DAY - timedelta(seconds=1))], []),
        ([goal(10 * DAY)], ["Goal #5 is at 40 percent and has had no progress for 10 days"]),
        ([goal(30 * DAY, True)], ["Goal #5 is at 40 percent and has had no progress for 30 days"]),
        ([goal(30 * DAY, True, False)], []),
    ],
)
def test_a_goal_without_open_steps_is_asked_about_after_ten_days(goals: list[GoalState], reasons: list[str]) -> None:
    assert [one.reasoning for one in feel("stalled_goal", state(goals=tuple(goals)))] == reasons


@pytest.mark.parametrize(
    ("activities", "last_reply", "reasons"),
    [
        ([], None, []),
        ([ended(2 * DAY - timedelta(seconds=1))], None, []),
        ([ended(2 * DAY)], None, ["Expo ended 2 days ago, and the contact has not replied to anything since"]),
        (
            [ended(3 * DAY)],
            NOW - 4 * DAY,
            ["Expo ended 3 days ago, and the contact has not replied to anything since"],
        ),
        ([ended(3 * DAY)], NOW - 2 * DAY, []),
        ([ended(14 * DAY)], None, ["Expo ended 14 days ago, and the contact has not replied to anything since"]),
        ([ended(14 * DAY + timedelta(seconds=1))], None, []),
        ([ended(-DAY)], None, []),
        ([Activity(7, "order_placed", NOW - 3 * DAY, {})], None, []),
    ],
)
def test_a_guest_is_asked_two_to_fourteen_days_after_an_event_unless_they_wrote_since(
    activities: list[Activity], last_reply: datetime | None, reasons: list[str]
) -> None:
    contact = state(activities=tuple(activities), last_reply=last_reply)
    assert [one.reasoning for one in feel("silence_after_event", contact)] == reasons


@pytest.mark.parametrize(
    ("since", "now", "years"),
    [
        ("2024-03-10T15:00", "2026-03-10T15:00", 2),
        ("2025-03-10T15:00", "2026-03-10T15:00", 1),
        ("2025-03-10T15:00", "2026-03-10T12:59", None),  # 8:59 in New York
        ("2025-03-10T15:00", "2026-03-10T13:00", 1),
        ("2025-03-10T15:00", "2026-03-11T03:59", 1),  # 23:59 there
        ("2025-03-10T15:00", "2026-03-11T04:00", None),
        ("2025-03-11T02:00", "2026-03-10T15:00", 1),  # it was the tenth there
        ("2026-03-10T13:00", "2026-03-10T15:00", None),
        ("2025-03-09T15:00", "2026-03-10T15:00", None),
        ("2024-02-29T15:00", "2025-02-28T15:00", 1),
        ("2024-02-29T15:00", "2025-03-01T15:00", None),
        ("2024-02-29T15:00", "2028-02-28T15:00", None),
        ("2024-02-29T15:00", "2028-02-29T15:00", 4),
    ],
)
def test_an_anniversary_is_kept_on_the_contacts_own_calendar_from_nine_o_clock(
    since: str, now: str, years: int | None
) -> None:
    contact = state(known_since=datetime.fromisoformat(since).replace(tzinfo=UTC))
    impulses = feel("anniversary", contact, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert [one.facts["years"] for one in impulses] == ([years] if years else [])


def test_an_anniversary_is_of_no_use_after_the_days_end_where_the_contact_is() -> None:
    [impulse] = feel("anniversary", state(known_since=datetime(2024, 3, 10, 15, tzinfo=UTC)))
    assert impulse.useful_until == datetime(2026, 3, 11, 4, tzinfo=UTC)


@hypothesis_settings(max_examples=40, deadline=None)
@given(since=st.dates(date(2015, 1, 1), date(2024, 12, 31)), year=st.integers(2025, 2032))
def test_an_anniversary_comes_on_exactly_one_day_of_every_year(since: date, year: int) -> None:
    contact = state(known_since=datetime(since.year, since.month, since.day, 23, tzinfo=UTC), timezone="UTC")
    days = [datetime(year, 1, 1, 12, tzinfo=UTC) + number * DAY for number in range(366)]
    keys = [one.key for day in days if day.year == year for one in feel("anniversary", contact, day)]
    assert keys == [str(year)]


EXAMPLES = {
    "check_in": state(goals=(goal(9 * DAY, False, False),)),
    "stalled_goal": state(goals=(goal(12 * DAY),)),
    "silence_after_event": state(activities=(ended(3 * DAY, event_id=3),)),
    "anniversary": state(known_since=NOW.replace(year=2023)),
}


@pytest.mark.parametrize("message_type", sorted(TRIGGERS))
def test_every_triggers_text_can_be_rendered_from_its_facts_and_names_the_person(message_type: str) -> None:
    [impulse] = feel(message_type, EXAMPLES[message_type])
    text = render(impulse.template, {"first_name": "Ada", "name": "Ada Abara", "company_name": None, **impulse.facts})
    assert text.startswith("Hi Ada, ")
    for fact in impulse.facts.values():
        assert str(fact) in text or (isinstance(fact, str) and date.fromisoformat(fact))
    assert len(text) <= 300


@pytest.mark.parametrize("message_type", ["check_in", "stalled_goal"])
def test_new_progress_and_a_new_standstill_are_a_new_reason_to_write(message_type: str) -> None:
    [before] = feel(message_type, EXAMPLES[message_type])
    [later] = feel(message_type, EXAMPLES[message_type], NOW + DAY)
    assert later.key == before.key
    stretch = GoalState(5, "Win three clients", 50, NOW + DAY, EXAMPLES[message_type].goals[0].items)
    [again] = feel(message_type, state(goals=(stretch,)), NOW + 20 * DAY)
    assert again.key != before.key


def test_two_events_are_two_reasons_to_write() -> None:
    activities = (ended(3 * DAY, event_id=3), ended(3 * DAY, event_id=4))
    assert len({one.key for one in feel("silence_after_event", state(activities=activities))}) == 2


@pytest.mark.parametrize("key", ["", "x" * 101])
def test_a_key_that_could_not_be_stored_is_refused_where_it_is_made(key: str) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        Suggestion(key, "why", "text")
