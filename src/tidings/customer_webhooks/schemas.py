"""What customers say about their webhooks, and what they are told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from tidings.customer_webhooks.events import EVENT_NAME, EVENTS, FILTER, EndpointStatus, hears
from tidings.fields import Input, JsonObject, Moment, Output, ShortLine, Storable
from tidings.messages.statuses import Status
from tidings.providers.webhooks.addresses import MAX_URL_LENGTH

MOST_OVERLAP_HOURS = 7 * 24


class WebhookEventStatus(StrEnum):
    """How a delivery stands."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


_STATUSES: dict[str, WebhookEventStatus] = {
    Status.SENT: WebhookEventStatus.DELIVERED,
    Status.FAILED: WebhookEventStatus.FAILED,
}


def event_status(status: str) -> WebhookEventStatus:
    """The customer's word for the status of a row."""
    return _STATUSES.get(status, WebhookEventStatus.PENDING)


def _filter(text: str) -> str:
    if not FILTER.fullmatch(text):
        raise ValueError("is no filter; write an event's name, message.* for all that begin so, or * for all")
    if "*" not in text and text not in EVENTS and any(hears([f"{text.split('.')[0]}.*"], event) for event in EVENTS):
        raise ValueError(f"is no event; there are {', '.join(EVENTS)}")
    return text


def _event_name(text: str) -> str:
    if not EVENT_NAME.fullmatch(text):
        raise ValueError("is no name of an event; write lower-case words with full stops, like order.shipped")
    return text


Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_URL_LENGTH), Storable]
Filters = Annotated[list[Annotated[str, AfterValidator(_filter)]], Field(min_length=1, max_length=50)]
EventName = Annotated[str, AfterValidator(_event_name)]


class WebhookEndpointIn(Input):
    """A new endpoint. `events` are names or patterns such as `message.*`; by default it hears of everything."""

    url: Url
    description: ShortLine | None = None
    events: Filters = Field(default_factory=lambda: ["*"])


class WebhookEndpointChange(Input):
    """What is to change about an endpoint; what is left out stays."""

    url: Url | None = None
    description: ShortLine | None = None
    events: Filters | None = None


class RotationIn(Input):
    """For how many hours the old secret signs beside the new one; 0 ends it at once, as after a leak."""

    overlap_hours: float = Field(24.0, ge=0, le=MOST_OVERLAP_HOURS)


class ReplayIn(Input):
    """Which ended events are delivered again: those of a time range (UTC), by default only the failed ones."""

    since: Moment
    until: Moment | None = None
    only_failed: bool = True

    @model_validator(mode="after")
    def _has_timezones(self) -> ReplayIn:
        if any(moment is not None and moment.tzinfo is None for moment in (self.since, self.until)):
            raise ValueError("since and until need a timezone; write them like 2026-11-24T10:00:00Z")
        return self


class WebhookDeliveryIn(Input):
    """An event of the customer's own."""

    event: EventName
    payload: JsonObject = Field(default_factory=dict)


class WebhookEndpointOut(Output):
    """An endpoint and how it fares; times are UTC."""

    id: int
    customer_id: int
    url: str
    description: str | None
    events: list[str]
    status: EndpointStatus
    consecutive_failures: int
    failing_since: datetime | None
    last_success_at: datetime | None
    warned_at: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None
    created_at: datetime


class WebhookSecretOut(BaseModel):
    """An endpoint with a new signing secret, which is shown this once."""

    endpoint: WebhookEndpointOut
    secret: str


class WebhookEventOut(BaseModel):
    """An event for one endpoint; `webhook_id` is its X-Webhook-ID, `attempts` those since it was last replayed."""

    id: int
    endpoint_id: int
    webhook_id: str
    event: str
    payload: dict[str, Any]
    status: WebhookEventStatus
    attempts: int
    error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> WebhookEventOut:
        """The event of one row."""
        status = event_status(row.status)
        pending = status is WebhookEventStatus.PENDING
        return cls(
            id=row.id,
            endpoint_id=row.endpoint_id,
            webhook_id=row.webhook_id,
            event=row.event,
            payload=row.payload,
            status=status,
            attempts=row.tries,
            error=row.error_message,
            next_attempt_at=max(row.scheduled_time, row.held_until or row.scheduled_time) if pending else None,
            created_at=row.created_at,
            delivered_at=row.delivered_at,
        )


class EventsRecorded(BaseModel):
    """The ids of the events that were recorded, one for each endpoint that hears of it."""

    event_ids: list[int]


class EventsReplayed(BaseModel):
    """How many events are delivered again; further ones of the range follow from `next_since` (UTC) on."""

    events: int
    next_since: datetime | None
