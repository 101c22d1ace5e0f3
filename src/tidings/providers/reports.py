"""What providers tell of their own accord: how a message fared, and what somebody answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ReportedStatus = Literal["SENT", "DELIVERED", "READ", "FAILED"]

_WORDS: dict[ReportedStatus, str] = {
    "SENT": "sent accepted acceptd queued sending scheduled buffered enroute dispatched submitted processed pending "
    "pendingaccepted pendingenroute deliveredtooperator serverack deferred delayed",
    "DELIVERED": "delivered delivrd received deliveredtohandset deliveryack",
    "READ": "read opened open seen played clicked click",
    "FAILED": "failed failure undelivered undeliverable undeliv rejected rejectd expired deleted "
    "canceled cancelled bounced bounce dropped error blocked notdelivered deliveryfailed deliveryfailure "
    "sendingfailed notsent unsent undeliverablerejectedoperator undeliverablenotdelivered expiredexpired",
}
STATUSES: Mapping[str, ReportedStatus] = {word: status for status, words in _WORDS.items() for word in words.split()}
"""What providers call how a message fares: Twilio, GoHighLevel, SendGrid, SMPP (3.4, 5.2.28) and others."""


def read_status(word: str) -> ReportedStatus | None:
    """The status that a provider's word means, however its letters are written; None for one that nobody knows."""
    return STATUSES.get("".join(letter for letter in word.lower() if letter.isalpha()))


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A provider's word on a message it took.

    `provider_message_id` is the id of the receipt. `at` is UTC, None when the report names no time. `error` says
    why a message failed. `reference` is the idempotency key, if the provider hands it back: it names the message
    even when the answer with the provider's id was lost.
    """

    provider_message_id: str
    status: ReportedStatus
    at: datetime | None = None
    error: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """What somebody wrote.

    `provider_message_id` is the provider's id of this message, None when it has none: then nothing tells a
    repetition from a second message. `sender` is E.164 when it is a phone number. `received_at` is UTC, None when
    the provider names no time.
    """

    provider_message_id: str | None
    sender: str
    text: str
    received_at: datetime | None = None
