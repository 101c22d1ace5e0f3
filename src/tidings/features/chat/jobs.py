"""The queues of the chats and the jobs in them, under the specification's names.

A job carries ids: the row is the truth. A Node producer may add an incoming message in full; then the worker
makes its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, model_validator

from tidings.customer_webhooks.jobs import WEBHOOK_DELIVERY
from tidings.engine.jobs import JobType
from tidings.engine.policy import QueuePolicy
from tidings.features.chat.models import ChatChannel
from tidings.fields import JobData, NumberIsText
from tidings.messages.kind import MessageJob, message_job
from tidings.providers.reports import DeliveryReport, ReportedStatus

KEEP_COMPLETED, KEEP_FAILED = 3600, 24 * 3600
"""Seconds that finished jobs stay readable in Redis: an hour when all went well, a day when not."""


def _queue(name: str, concurrency: int) -> QueuePolicy:
    return QueuePolicy(
        name,
        concurrency=concurrency,
        attempts=3,
        backoff=1.0,
        keep_completed_seconds=KEEP_COMPLETED,
        keep_failed_seconds=KEEP_FAILED,
    )


INCOMING_MESSAGES = _queue("incoming-messages", 10)
AI_PROCESSING = _queue("ai-processing", 10)
OUTGOING_MESSAGES = _queue("outgoing-messages", 20)
WHATSAPP_CLOUD_SEND = _queue("whatsapp-cloud-send", 20)
WHATSAPP_QR_SEND = _queue("whatsapp-qr-send", 5)

QUEUES = (
    INCOMING_MESSAGES,
    AI_PROCESSING,
    OUTGOING_MESSAGES,
    WHATSAPP_CLOUD_SEND,
    WHATSAPP_QR_SEND,
    WEBHOOK_DELIVERY,
)

PREMIUM_PRICE, PRO_PRICE = Decimal(100), Decimal(50)
PREMIUM_PRIORITY, PRO_PRIORITY, BASIC_PRIORITY = 1, 3, 5
"""BullMQ priorities of answers: 1 goes first."""

CHAT_MESSAGE = "chat-message"
"""With an id the name of a message, as in `chat-message-123`."""


def priority_for(monthly_price: Decimal | None) -> int:
    """The priority of a customer's answers by the plan's price in US dollars; without a plan it is the lowest."""
    price = monthly_price or Decimal(0)
    if price >= PREMIUM_PRICE:
        return PREMIUM_PRIORITY
    return PRO_PRIORITY if price >= PRO_PRICE else BASIC_PRIORITY


class IncomingMessageJob(JobData):
    """A user's message: a stored one (`id`), or everything that is needed to store it.

    `external_id` tells a repetition from a second message; without one the job's id does.
    """

    id: int | None = None
    chatbot_id: int | None = None
    channel: ChatChannel | None = None
    external_user_id: Annotated[str | None, NumberIsText] = Field(None, min_length=1, max_length=255)
    content: str | None = Field(
        None, min_length=1, max_length=10_000, validation_alias=AliasChoices("content", "message", "text")
    )
    external_id: str | None = Field(
        None, min_length=1, max_length=255, validation_alias=AliasChoices("externalId", "externalMessageId")
    )
    user_name: str | None = Field(None, max_length=200)
    via: str | None = Field(None, max_length=255)

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.id is None and not (self.chatbot_id and self.channel and self.external_user_id and self.content):
            raise ValueError("names neither a stored message (id) nor chatbotId, channel, externalUserId and content")
        return self


class StatusJob(JobData):
    """A delivery report about a message whose sending was not recorded yet when it came."""

    channel: ChatChannel
    via: str
    provider_message_id: str
    status: ReportedStatus
    at: datetime | None = None
    error: str | None = None
    reference: str | None = None

    @classmethod
    def of(cls, channel: ChatChannel, via: str, report: DeliveryReport) -> Self:
        """The job about a report that came in through `via`, a phone number ID or a session."""
        return cls(
            channel=channel,
            via=via,
            provider_message_id=report.provider_message_id,
            status=report.status,
            at=report.at,
            error=report.error,
            reference=report.reference,
        )

    def report(self) -> DeliveryReport:
        """The report again."""
        return DeliveryReport(self.provider_message_id, self.status, self.at, self.error, self.reference)


class UpkeepJob(JobData):
    """A look for stored messages and due answers whose job was lost."""


class AIProcessingJob(JobData):
    """The answer to everything up to the user's message number `turn` of a conversation, by default its latest."""

    conversation_id: int
    turn: int | None = None


class EmbeddingJob(JobData):
    """A knowledge item that is to get its embedding."""

    id: int


def _incoming_id(data: IncomingMessageJob) -> str:
    if data.id is None:
        raise TypeError("a message without a row has no job id")
    return f"incoming-message-{data.id}"


def _as_told(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    return data


INCOMING_MESSAGE = JobType(INCOMING_MESSAGES, "incoming-message", IncomingMessageJob, _incoming_id, _as_told)
DELIVERY_REPORT = JobType(INCOMING_MESSAGES, "delivery-report", StatusJob)
UPKEEP = JobType(INCOMING_MESSAGES, "upkeep", UpkeepJob)
AI_ANSWER = JobType(
    AI_PROCESSING,
    "ai-answer",
    AIProcessingJob,
    lambda data: f"chat-answer-{data.conversation_id}-{data.turn}",
    _as_told,
)
EMBED_ITEM = JobType(AI_PROCESSING, "embed-knowledge", EmbeddingJob, lambda data: f"knowledge-item-{data.id}")
OUTGOING_MESSAGE = message_job(OUTGOING_MESSAGES, "outgoing-message", CHAT_MESSAGE)
CLOUD_SEND = message_job(WHATSAPP_CLOUD_SEND, "whatsapp-cloud-send", CHAT_MESSAGE)
QR_SEND = message_job(WHATSAPP_QR_SEND, "whatsapp-qr-send", CHAT_MESSAGE)

SENDS: Mapping[str, JobType[MessageJob]] = {
    job_type.queue.name: job_type for job_type in (OUTGOING_MESSAGE, CLOUD_SEND, QR_SEND)
}
"""The job that wakes a message, by the queue that it is to take next."""
