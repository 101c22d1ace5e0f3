"""What event messages say: the ten default templates and the variables that any template may use.

Times in texts are wall-clock times where the event takes place, as `HH:MM`. The defaults stay within the
GSM 03.38 alphabet and, with usual names, within one SMS of 160 characters (the agenda excepted). They name
clock times, never "in 15 minutes", so that a message that leaves late is still true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from tidings.errors import TemplateError
from tidings.features.events.rules.plan import EventFacts, SessionFacts
from tidings.features.events.types import MessageType
from tidings.messages.contacts.parsed_names import first_name_of
from tidings.messages.text.templates import render

_TIMES = ("start_time", "end_time", "session_time", "session_end_time")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

AGENDA_LINES = 12
"""Sessions that a personalized agenda lists: about four SMS. The others are counted in `agenda_more`."""

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

TEMPLATES: dict[MessageType, str] = {
    MessageType.REGISTRATION_CONFIRMATION: (
        "Hi {{ first_name }}, you're registered for {{ event_name }} on {{ event_date }}"
        "{% if event_location %} at {{ event_location }}{% endif %}. See you there!"
    ),
    MessageType.PERSONALIZED_AGENDA: (
        "Hi {{ first_name }}, your agenda for {{ event_name }}, {{ event_date }}:\n"
        "{% if agenda %}{% for slot in agenda %}"
        "{% if slot.day %}{{ slot.day }}\n{% endif %}"
        "{{ slot.time }} {{ slot.title | truncate: 60 }}{% if slot.room %}, {{ slot.room }}{% endif %}\n"
        "{% endfor %}{% if agenda_more %}and {{ agenda_more }} more{% endif %}"
        "{% else %}We start at {{ start_time }}.{% endif %}"
    ),
    MessageType.CHECK_IN_REMINDER_NIGHT_BEFORE: (
        "Hi {{ first_name }}, {{ event_name }} is tomorrow at {{ start_time }}"
        "{% if event_location %}, {{ event_location }}{% endif %}. See you at check-in!"
    ),
    MessageType.CHECK_IN_REMINDER_1_HOUR: (
        "Hi {{ first_name }}, {{ event_name }} starts at {{ start_time }}"
        "{% if event_location %}, {{ event_location }}{% endif %}. Please check in when you arrive."
    ),
    MessageType.CHECK_IN_REMINDER_EVENT_START: (
        "Hi {{ first_name }}, {{ event_name }} is starting"
        "{% if event_location %} at {{ event_location }}{% endif %}. Please check in if you haven't yet. Enjoy!"
    ),
    MessageType.SPEAKER_ALERT: (
        "Hi {{ first_name }}, coming up{% if session_time %} at {{ session_time }}{% endif %}: "
        "{{ session_title | default: 'your next session' | truncate: 60 }}"
        "{% if speaker_name %} with {{ speaker_name }}{% endif %}"
        "{% if session_room %}, {{ session_room }}{% endif %}."
    ),
    MessageType.SPONSOR_RECOMMENDATION: (
        "{% if sponsor_name %}Break time, {{ first_name }}! Say hello to {{ sponsor_name }}"
        "{% else %}Break time, {{ first_name }}! Say hello to somebody new{% endif %}"
        "{% if session_end_time %}. We go on at {{ session_end_time }}{% endif %}."
    ),
    MessageType.PEER_MATCH_NOTIFICATION: (
        "Hi {{ first_name }}, somebody to meet now: {{ peer_name | default: 'the person next to you' }}"
        "{% if peer_company %} of {{ peer_company }}{% endif %}"
        "{% if session_room %}, {{ session_room }}{% endif %}. Look for each other and say hello!"
    ),
    MessageType.PCR_REQUEST: (
        "Hi {{ first_name }}, how was {{ session_title | default: 'the session' | truncate: 60 }}"
        "{% if speaker_name %} with {{ speaker_name }}{% endif %}? "
        "Please reply with a number from 1 (poor) to 10 (great)."
    ),
    MessageType.POST_EVENT_WRAP_UP: (
        "Thank you for coming to {{ event_name }}, {{ first_name }}! What will you take home? Just reply to tell us."
    ),
}

CONTRACTOR_VARIABLES = frozenset({"name", "first_name", "last_name", "email", "company_name"})
EVENT_VARIABLES = frozenset({"event_name", "event_location", "event_date", "start_time", "end_time"})
SESSION_VARIABLES = frozenset({"session_title", "session_room", "session_time", "session_end_time", "speaker_name"})

_OWN_VARIABLES: dict[MessageType, frozenset[str]] = {
    MessageType.PERSONALIZED_AGENDA: frozenset({"agenda", "agenda_more"}),
    MessageType.SPEAKER_ALERT: SESSION_VARIABLES,
    MessageType.SPONSOR_RECOMMENDATION: SESSION_VARIABLES | {"sponsor_name"},
    MessageType.PEER_MATCH_NOTIFICATION: SESSION_VARIABLES | {"peer_name", "peer_company"},
    MessageType.PCR_REQUEST: SESSION_VARIABLES,
}


def known_variables(message_type: MessageType) -> frozenset[str]:
    """The names that a planned message of this type has, whatever its event; personalization may add more."""
    return CONTRACTOR_VARIABLES | EVENT_VARIABLES | _OWN_VARIABLES.get(message_type, frozenset())


def about_event(event: EventFacts) -> dict[str, Any]:
    """The variables of an event: its name, place, first day, and its start and end by the event's clocks."""
    zone = ZoneInfo(event.timezone)
    start = event.start_time.astimezone(zone)
    return {
        "event_name": event.name,
        "event_location": event.location,
        "event_date": f"{_DAYS[start.weekday()]}, {_MONTHS[start.month - 1]} {start.day}",
        "start_time": _clock(start),
        "end_time": _clock(event.end_time.astimezone(zone)),
    }


def about_session(session: SessionFacts, timezone: str) -> dict[str, Any]:
    """The variables of an agenda slot, with times on the clocks of `timezone` (IANA name)."""
    zone = ZoneInfo(timezone)
    return {
        "session_title": session.title,
        "session_room": session.room,
        "session_time": _clock(session.start_time.astimezone(zone)),
        "session_end_time": _clock(session.end_time.astimezone(zone)),
        "speaker_name": session.speaker,
    }


def about_agenda(sessions: Sequence[SessionFacts], timezone: str) -> dict[str, Any]:
    """`agenda`, the first AGENDA_LINES sessions in order, and `agenda_more`, how many others there are.

    When the sessions are on several days, the first of each day carries that day, e.g. `Fri, Oct 17`.
    """
    zone = ZoneInfo(timezone)
    ordered = sorted(sessions, key=lambda session: (session.start_time, session.key))
    starts = [session.start_time.astimezone(zone) for session in ordered]
    lines: list[dict[str, str | None]] = []
    day = starts[0].date() if starts and starts[0].date() == starts[-1].date() else None
    for session, start in zip(ordered[:AGENDA_LINES], starts, strict=False):
        line = {"time": _clock(start), "title": session.title, "room": session.room, "speaker": session.speaker}
        if start.date() != day:
            day = start.date()
            line["day"] = f"{_DAYS[day.weekday()][:3]}, {_MONTHS[day.month - 1][:3]} {day.day}"
        lines.append(line)
    return {"agenda": lines, "agenda_more": max(0, len(ordered) - AGENDA_LINES) or None}


def variables_for(
    contractor: Mapping[str, Any], event: EventFacts, personalization: Mapping[str, Any], hour_cycle: int = 24
) -> dict[str, Any]:
    """Everything a template may use: the contractor's columns and the event, overlaid by the message's own data.

    Blank values become None, which is false in a condition and prints as nothing; they hide no known value.
    `first_name` is never blank: it falls back to the name's, then to "there". With an `hour_cycle` of 12
    the times of day, which are stored as 14:30, are written as 2:30 PM.
    """
    variables = {name: _or_none(contractor.get(name)) for name in CONTRACTOR_VARIABLES}
    variables |= _variables_of_event(event)
    for name, value in personalization.items():
        if not _blank(value):
            variables[name] = value
        else:
            variables.setdefault(name, None)
    variables["first_name"] = first_name_of(variables["first_name"], variables["name"])
    return _with_half_days(variables) if hour_cycle == 12 else variables


def compose_text(message_type: MessageType, message_content: str | None, variables: Mapping[str, Any]) -> str:
    """The text to send: `message_content` if there is one, else the type's default.

    Content goes out as it is written; only where it has Liquid in it (`{{` or `{%`) it is rendered, so that
    "Hi {{ first_name }}" greets everybody by name. Raises TemplateError when it cannot be rendered or when
    nothing is left to send.
    """
    if message_content and "{{" not in message_content and "{%" not in message_content:
        return message_content
    text = render(message_content or TEMPLATES[message_type], variables)
    if not text:
        raise TemplateError("the template gives an empty text with this message's variables")
    return text


def _clock(moment: datetime) -> str:
    return f"{moment.hour:02}:{moment.minute:02}"


def _with_half_days(variables: dict[str, Any]) -> dict[str, Any]:
    """The same with every time of day on a clock of 12 hours."""
    lines = variables.get("agenda")
    if isinstance(lines, list):
        variables["agenda"] = [
            {**line, "time": _half_day(line.get("time"))} if isinstance(line, Mapping) else line for line in lines
        ]
    return variables | {name: _half_day(variables[name]) for name in _TIMES if name in variables}


def _half_day(value: Any) -> Any:
    """`14:30` as `2:30 PM`; anything else as it is."""
    found = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    hour = int(found[1])
    return f"{hour % 12 or 12}:{found[2]} {'AM' if hour < 12 else 'PM'}"


@lru_cache(maxsize=256)
def _variables_of_event(event: EventFacts) -> Mapping[str, Any]:
    return {name: _or_none(value) for name, value in about_event(event).items()}


def _or_none(value: Any) -> Any:
    return None if _blank(value) else value


def _blank(value: Any) -> bool:
    return not value.strip() if isinstance(value, str) else value is None or value == [] or value == {}
