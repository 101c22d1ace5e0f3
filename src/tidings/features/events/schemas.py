"""What comes in and goes out over HTTP, in files and in jobs.

A time may be aware (an instant) or naive (the event's wall clock).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tidings.features.events.models import EventStatus, SessionKind
from tidings.features.events.plan_changes import ScheduleResult
from tidings.features.events.types import MessageCategory, MessageType
from tidings.fields import (
    AnyCase,
    Day,
    Email,
    FirstOrLastName,
    GhlId,
    Id,
    Input,
    JsonObject,
    Line,
    Moment,
    Name,
    Output,
    Phone,
    ShortLine,
    Storable,
    Text,
    Timezone,
    Title,
)
from tidings.messages.ledger import Outcome
from tidings.messages.statuses import Reason, Status

SessionKey = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), Storable]


class SessionIn(Input):
    """One agenda slot. `key` identifies it across later versions of the agenda; by default room, title and day."""

    key: SessionKey | None = None
    kind: SessionKind = SessionKind.SESSION
    title: Title
    speaker: Line | None = None
    sponsor: Line | None = None
    room: ShortLine | None = None
    start_time: Moment
    end_time: Moment


class FileSession(SessionIn):
    """A slot as a file has it. `origin` is what the file knows it by, which several may share; `key` is its own.

    Its times are UTC; `is_local` says that the file told them by the event's clocks.
    """

    origin: str
    is_local: bool


class EventIn(Input):
    """An event. Without `start_time` and `end_time` it lasts as its sessions do, or from 09:00 to 17:00 there."""

    name: Name
    date: Day
    location: Line | None = None
    timezone: Timezone | None = None
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")] | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    sessions: list[SessionIn] = Field(default=[], max_length=5000)


class AgendaIn(Input):
    """A whole agenda; it replaces the event's present one. A `timezone` changes the event's at the same time."""

    sessions: list[SessionIn] = Field(max_length=5000)
    timezone: Timezone | None = None


class EventChangeIn(Input):
    """What is changed of an event. In another timezone naive times move along, and instants stay."""

    timezone: Timezone


class ContractorIn(Input):
    """A person. Phone numbers are stored as E.164; without + they are read in the default region."""

    name: Name
    first_name: FirstOrLastName | None = None
    last_name: FirstOrLastName | None = None
    phone: Phone | None = None
    email: Email | None = None
    company_name: ShortLine | None = None
    timezone: Timezone | None = None
    ghl_contact_id: GhlId | None = None
    ghl_location_id: GhlId | None = None


class RegistrationIn(Input):
    """A contractor's place at an event. `sessions` are the keys of the chosen ones; none means all."""

    contractor_id: Id
    sessions: list[SessionKey] = Field(default=[], max_length=1000)


class EventMessageIn(Input):
    """A message to schedule, in the specification's field names.

    With `id` it is the stored message to put (back) into the queue. Without `message_content` the type's
    default template is used. A naive `scheduled_time` is the event's local time.
    """

    id: Id | None = None
    event_id: Id
    contractor_id: Id
    message_type: MessageType
    message_category: MessageCategory | None = None
    scheduled_time: Moment
    session_key: Annotated[str, StringConstraints(max_length=64), Storable] | None = None
    message_content: Text | None = None
    personalization_data: JsonObject = Field(default={})
    phone: Phone | None = None
    channel: Annotated[Literal["sms", "email"], AnyCase] = "sms"
    ghl_contact_id: GhlId | None = None
    ghl_location_id: GhlId | None = None


class RescheduleIn(Input):
    """A message's new time, and with `message_content` or `personalization_data` its new text."""

    scheduled_time: Moment
    message_content: Text | None = None
    personalization_data: JsonObject | None = None


class SessionOut(Output):
    key: str
    kind: SessionKind
    title: str
    speaker: str | None
    sponsor: str | None
    room: str | None
    start_time: datetime
    end_time: datetime


class EventOut(Output):
    """An event; times are UTC, `timezone` is where its wall clocks hang."""

    id: int
    name: str
    slug: str | None
    date: date
    location: str | None
    timezone: str
    status: EventStatus
    start_time: datetime
    end_time: datetime


class ChangedEventOut(EventOut):
    """An event that was changed, and how many messages that changed."""

    messages: ScheduleResult


class ContractorOut(Output):
    id: int
    name: str
    first_name: str | None
    last_name: str | None
    phone: str | None
    email: str | None
    company_name: str | None
    timezone: str | None


class RegistrationOut(Output):
    id: int
    event_id: int
    contractor_id: int
    session_keys: list[str]
    registered_at: datetime
    profile_completed_at: datetime | None
    cancelled_at: datetime | None


class EventMessageOut(Output):
    """A stored message; times are UTC, `delay_minutes` is how late it left."""

    id: int
    event_id: int
    contractor_id: int
    message_type: MessageType
    message_category: MessageCategory
    session_key: str
    scheduled_time: datetime
    actual_send_time: datetime | None
    delay_minutes: float | None
    status: Status
    status_reason: Reason | None
    error_message: str | None
    message_content: str | None
    personalization_data: dict[str, Any]
    phone: str | None
    channel: str
    ghl_contact_id: str | None
    ghl_message_id: str | None
    ghl_location_id: str | None
    created_at: datetime
    updated_at: datetime


class ListedMessage(EventMessageOut):
    """A stored message with the names of its person and event."""

    contractor_name: str
    event_name: str
    event_timezone: str


class DeliveryOut(Output):
    """One line of the ledger; `lateness_ms` is how long after its time the message was handed over."""

    id: int
    at: datetime
    message_id: int
    message_type: MessageType
    contact_id: int
    contractor_name: str
    outcome: Outcome
    reason: Reason | None
    attempt: int
    channel: str | None
    provider: str | None
    provider_message_id: str | None
    error: str | None
    scheduled_time: datetime
    lateness_ms: float | None
    duration_ms: float | None
    request_id: str | None
