"""What is planned for one person: pure values, no database.

`Planned` is what the rules ask for; the service compares it with the rows that exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from tidings.features.events.models import SessionKind
from tidings.features.events.types import MessageType


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What the rules need to know of an event; times are UTC, `timezone` an IANA name."""

    id: int
    name: str
    location: str | None
    timezone: str
    start_time: datetime
    end_time: datetime


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the rules need to know of an agenda slot; times are UTC."""

    key: str
    kind: SessionKind
    title: str
    speaker: str | None
    sponsor: str | None
    room: str | None
    start_time: datetime
    end_time: datetime


@dataclass(frozen=True, slots=True)
class Attendee:
    """A registered person; times are UTC, no `session_keys` means every session."""

    contractor_id: int
    name: str
    company_name: str | None
    session_keys: frozenset[str]
    registered_at: datetime
    profile_completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Planned:
    """One message that the rules ask for. `scheduled_time` is UTC."""

    contractor_id: int
    message_type: MessageType
    session_key: str
    scheduled_time: datetime
    personalization_data: Mapping[str, Any] = field(default_factory=dict)


EVENT_FACTS = tuple(fact.name for fact in fields(EventFacts))
SESSION_FACTS = tuple(fact.name for fact in fields(SessionFacts))
"""The columns of an event and of an agenda slot that the rules look at."""
