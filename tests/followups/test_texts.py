"""What follow-ups say, and what an AI may state in them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tidings.errors import TemplateError
from tidings.features.followups.rules.texts import facts_of, readable, subject_of, text_of, variables_for


def row(**more: Any) -> dict[str, Any]:
    return {
        "name": "Ada Abara",
        "first_name": None,
        "last_name": None,
        "email": "ada@example.com",
        "company_name": "Abara & Co",
        "event_id": None,
        "followup_type": "contract_reminder",
        "scheduled_time": datetime(2025, 10, 18, 2, 30, tzinfo=UTC),
        "action_item_title": "Send the signed contract",
        "action_item_description": None,
        "action_item_due_date": date(2025, 10, 17),
        "ai_context_hints": {"offer": "10% off", "mood": {"last_call": "friendly"}},
        **more,
    }


TEXTS: list[tuple[str, dict[str, Any], str]] = [
    ("Hi {{ first_name }}!", {}, "Hi Ada!"),
    ("Hi {{ first_name }}!", {"first_name": "Addie"}, "Hi Addie!"),
    ("Hi {{ first_name }}!", {"first_name": " ", "name": " "}, "Hi there!"),
    ("{{ name }} of {{ company_name }}", {}, "Ada Abara of Abara & Co"),
    ("{{ action_item_title }} by {{ action_item_due_date }}", {}, "Send the signed contract by Friday, October 17"),
    ("Ask{% if action_item_description %}: {{ action_item_description }}{% endif %}", {}, "Ask"),
    ("Take {{ hints.offer }}", {}, "Take 10% off"),
    ("A {{ hints.mood.last_call }} call", {}, "A friendly call"),
    ("{{ hints.gone | default: 'Hello' }}", {}, "Hello"),
    ("{% if event_id %}Event {{ event_id }}{% else %}No event{% endif %}", {}, "No event"),
    ("{% if event_id %}Event {{ event_id }}{% else %}No event{% endif %}", {"event_id": 5}, "Event 5"),
    ("100% {plain} text ", {}, "100% {plain} text "),
]


@pytest.mark.parametrize(("template", "values", "text"), TEXTS)
def test_a_template_knows_the_person_the_action_item_and_the_hints(
    template: str, values: dict[str, Any], text: str
) -> None:
    assert text_of(template, row(**values)) == text


@pytest.mark.parametrize(
    "template", ["{{ hints.gone }}", "{{ hints.mood.gone }}", "{{ phone }}", "{{ first_name", "{{ '' }}"]
)
def test_what_a_template_cannot_say_is_an_error(template: str) -> None:
    with pytest.raises(TemplateError):
        text_of(template, row())


def test_the_facts_are_those_that_are_known_with_dates_as_people_there_read_them() -> None:
    assert facts_of(row(), "America/New_York") == {
        "person": {"first_name": "Ada", "name": "Ada Abara", "company_name": "Abara & Co"},
        "date_of_this_message": "Friday, October 17",
        "action_item": {"title": "Send the signed contract", "due_date": "Friday, October 17"},
    }
    nothing = dict.fromkeys(("action_item_title", "action_item_due_date", "company_name"))
    assert facts_of(row(**nothing), "UTC") == {
        "person": {"first_name": "Ada", "name": "Ada Abara"},
        "date_of_this_message": "Saturday, October 18",
    }


def test_a_mail_is_about_its_action_item_or_its_type() -> None:
    assert subject_of(row()) == "Send the signed contract"
    assert subject_of(row(action_item_title=None)) == "Contract reminder"


def test_dates_have_no_leading_zeros() -> None:
    assert readable(date(2026, 3, 1)) == "Sunday, March 1"
    assert variables_for(row(action_item_due_date=None))["action_item_due_date"] is None
