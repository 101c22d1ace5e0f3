"""The statuses of a message and the reasons a message did not go out."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a message stands.

    The specification names scheduled, sent, failed and cancelled. `skipped` is a decision not to send;
    `sending` lasts while a worker holds the row, and after its crash until the lease ends.
    """

    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


OPEN = (Status.SCHEDULED, Status.SENDING)
"""The statuses of messages that are still to go out."""


class Reason(StrEnum):
    """Why a message has its status; `sentence` says it to a person."""

    PLANNED = "planned"
    PAST = "past"
    EXPIRED = "expired"
    BY_REQUEST = "by_request"
    EVENT_CANCELLED = "event_cancelled"
    EVENT_CLEARED = "event_cleared"
    CONTRACTOR_CLEARED = "contractor_cleared"
    REGISTRATION_CANCELLED = "registration_cancelled"
    NO_LONGER_PLANNED = "no_longer_planned"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Reason.PLANNED: "the event's schedule calls for it",
    Reason.PAST: "its time had passed when it was planned",
    Reason.EXPIRED: "it was of no use any more when its turn came",
    Reason.BY_REQUEST: "somebody asked for it",
    Reason.EVENT_CANCELLED: "the event was cancelled",
    Reason.EVENT_CLEARED: "the event's messages were cleared",
    Reason.CONTRACTOR_CLEARED: "this person's messages were cleared",
    Reason.REGISTRATION_CANCELLED: "the registration was cancelled",
    Reason.NO_LONGER_PLANNED: "the agenda no longer calls for it",
}
