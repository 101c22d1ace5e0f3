"""What a follow-up says: the variables of its template, the facts that an AI may state, and its subject.

Dates are those of the contractor's timezone, written as people read them: `Friday, October 17`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from tidings.errors import TemplateError
from tidings.messages.contacts.parsed_names import first_name_of
from tidings.messages.text.templates import render

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_PERSON = ("name", "first_name", "last_name", "email", "company_name")
_ACTION_ITEM = ("action_item_title", "action_item_description", "action_item_due_date")

VARIABLES = frozenset({*_PERSON, *_ACTION_ITEM, "event_id", "hints"})
"""The names that every follow-up's template may use; `hints.offer` is `offer` of ai_context_hints."""


def variables_for(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the template sees. Blank values are None, which is false in a condition and prints as nothing.

    `first_name` is never blank: it falls back to the name's, then to "there".
    """
    variables = {name: row[name] for name in (*_PERSON, *_ACTION_ITEM, "event_id")}
    variables = {name: None if _blank(value) else value for name, value in variables.items()}
    variables["first_name"] = first_name_of(variables["first_name"], variables["name"])
    if variables["action_item_due_date"] is not None:
        variables["action_item_due_date"] = readable(variables["action_item_due_date"])
    return {**variables, "hints": row["ai_context_hints"]}


def text_of(template: str, row: Mapping[str, Any]) -> str:
    """The template's finished text; without Liquid in it, it goes out as it is written.

    Raises TemplateError when it cannot be rendered or nothing is left to send.
    """
    text = render(template, variables_for(row)) if "{{" in template or "{%" in template else template
    if not text.strip():
        raise TemplateError("the template gives an empty text for this follow-up")
    return text


def facts_of(row: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    """What an AI may state, beside the template's text and the hints: the person, the action item, the day."""
    variables = variables_for(row)
    local = row["scheduled_time"].astimezone(ZoneInfo(timezone))
    facts: dict[str, Any] = {
        "person": _known(variables, {name: name for name in ("first_name", "name", "company_name")}),
        "date_of_this_message": readable(local.date()),
    }
    item = _known(variables, {name.removeprefix("action_item_"): name for name in _ACTION_ITEM})
    return {**facts, "action_item": item} if item else facts


def subject_of(row: Mapping[str, Any]) -> str:
    """The subject of a mail: its action item, else its type in words."""
    return str(row["action_item_title"] or row["followup_type"].replace("_", " ").strip().capitalize())


def readable(day: date) -> str:
    """`Friday, October 17`."""
    return f"{_DAYS[day.weekday()]}, {_MONTHS[day.month - 1]} {day.day}"


def _known(variables: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {key: variables[name] for key, name in names.items() if variables[name] is not None}


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
