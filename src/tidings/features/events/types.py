"""The ten kinds of event message: category and priority, as the specification gives them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MessageCategory(StrEnum):
    """The specification's four categories."""

    PRE_EVENT = "pre_event"
    EVENT_DAY = "event_day"
    PCR = "pcr"
    POST_EVENT = "post_event"


class MessageType(StrEnum):
    """The specification's ten message types."""

    REGISTRATION_CONFIRMATION = "registration_confirmation"
    PERSONALIZED_AGENDA = "personalized_agenda"
    CHECK_IN_REMINDER_NIGHT_BEFORE = "check_in_reminder_night_before"
    CHECK_IN_REMINDER_1_HOUR = "check_in_reminder_1_hour"
    CHECK_IN_REMINDER_EVENT_START = "check_in_reminder_event_start"
    SPEAKER_ALERT = "speaker_alert"
    SPONSOR_RECOMMENDATION = "sponsor_recommendation"
    PEER_MATCH_NOTIFICATION = "peer_match_notification"
    PCR_REQUEST = "pcr_request"
    POST_EVENT_WRAP_UP = "post_event_wrap_up"


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What is fixed about a message type. Priority 1 goes first."""

    category: MessageCategory
    priority: int
    subject: str


DEFAULT_PRIORITY = 10


def priority_of(message_type: str) -> int:
    """The priority of a message's job; types that the specification does not list have its default."""
    return FACTS[MessageType(message_type)].priority if message_type in FACTS else DEFAULT_PRIORITY


FACTS: dict[MessageType, TypeFacts] = {
    MessageType.REGISTRATION_CONFIRMATION: TypeFacts(MessageCategory.PRE_EVENT, 10, "You are registered"),
    MessageType.PERSONALIZED_AGENDA: TypeFacts(MessageCategory.PRE_EVENT, 10, "Your agenda"),
    MessageType.CHECK_IN_REMINDER_NIGHT_BEFORE: TypeFacts(MessageCategory.PRE_EVENT, 8, "See you tomorrow"),
    MessageType.CHECK_IN_REMINDER_1_HOUR: TypeFacts(MessageCategory.PRE_EVENT, 3, "We start in an hour"),
    MessageType.CHECK_IN_REMINDER_EVENT_START: TypeFacts(MessageCategory.PRE_EVENT, 1, "We are starting"),
    MessageType.SPEAKER_ALERT: TypeFacts(MessageCategory.EVENT_DAY, 2, "Your next session"),
    MessageType.SPONSOR_RECOMMENDATION: TypeFacts(MessageCategory.EVENT_DAY, 5, "In the break"),
    MessageType.PEER_MATCH_NOTIFICATION: TypeFacts(MessageCategory.EVENT_DAY, 10, "Somebody to meet"),
    MessageType.PCR_REQUEST: TypeFacts(MessageCategory.PCR, 7, "How was it?"),
    MessageType.POST_EVENT_WRAP_UP: TypeFacts(MessageCategory.POST_EVENT, 10, "Thank you for coming"),
}
