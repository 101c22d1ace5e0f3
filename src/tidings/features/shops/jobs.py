"""The queues of the shops and the jobs in them, under the specification's names.

A Node producer may add jobs in the specification's form: then there is no row yet, and the worker makes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator
from pydantic.alias_generators import to_snake

from tidings.engine.jobs import JobType
from tidings.engine.policy import QueuePolicy
from tidings.features.shops.rules.contexts import TOPICS, topic_of
from tidings.fields import AnyCase, JobData, JsonIsObject, NumberIsText


def _queue(name: str, concurrency: int) -> QueuePolicy:
    return QueuePolicy(
        name, concurrency=concurrency, attempts=5, backoff=2.0, keep_completed=100, keep_failed=50
    )  # fmt: skip


SHOP_MESSAGE = "shop-message"

EVENTS = _queue("events", 10)
AUTOMATIONS = _queue("automations", 10)
CAMPAIGNS = _queue("campaigns", 2)
DELIVERY = _queue("delivery", 50)
HOUSEKEEPING = _queue("housekeeping", 1)

QUEUES = (EVENTS, AUTOMATIONS, CAMPAIGNS, DELIVERY, HOUSEKEEPING)

TRANSACTIONAL_PRIORITY, PROMOTIONAL_PRIORITY, CAMPAIGN_PRIORITY = 1, 5, 10
"""BullMQ priorities in `delivery`: an order confirmation overtakes every campaign."""


ShopId = Annotated[str, NumberIsText]
"""A shop's domain, or its id."""


class ShopJobData(JobData):
    """What a shop's job carries."""

    request_id: Annotated[str | None, NumberIsText] = Field(
        None, max_length=100, validation_alias=AliasChoices("requestId", "xRequestId", "request_id")
    )


class EventData(ShopJobData):
    """Something that happened in a shop: with `id` a row of `shop_webhook_events`, else `raw` is the payload."""

    id: int | None = None
    topic: str = Field(max_length=64)
    shop_id: ShopId = Field(max_length=255)
    object_id: str | int | None = None
    raw: Annotated[dict[str, Any] | None, JsonIsObject] = None

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.id is None and self.raw is None:
            raise ValueError("names neither a stored event (id) nor a payload (raw)")
        return self


class EvaluateData(ShopJobData):
    """An event that the automations are to be asked about: a stored one (`id`), or a payload.

    The payload is `originalEvent`, or `context` when that is one.
    """

    id: int | None = None
    trigger: str = Field(max_length=64)
    shop_id: ShopId = Field(max_length=255)
    context: Annotated[dict[str, Any] | None, JsonIsObject] = None
    original_event: Annotated[dict[str, Any] | None, JsonIsObject] = None

    @property
    def raw(self) -> dict[str, Any] | None:
        """The payload; `originalEvent` may also be the data of the event's own job."""
        told = self.original_event or self.context
        inside = told.get("raw") if told else None
        return inside if isinstance(inside, dict) else told

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.id is None and self.raw is None:
            raise ValueError("names neither a stored event (id) nor a payload (originalEvent, context)")
        return self


class SendData(ShopJobData):
    """A message to send: a stored one (`id`), or the text `template` with `context` as variables.

    It goes to the number `recipient`, else to the shop's customer `contact_id` (ours, or the shop's own id), else to
    whom the context is about. Without `purpose` it has that of its automation, or is promotional, so that it needs
    consent.
    """

    id: int | None = None
    shop_id: ShopId | None = Field(None, max_length=255)
    recipient: Annotated[str | None, NumberIsText] = Field(None, max_length=40)
    contact_id: int | str | None = None
    automation_id: int | str | None = None
    campaign_id: int | str | None = None
    template: str | None = Field(None, max_length=10_000)
    context: Annotated[dict[str, Any], JsonIsObject] = Field(default_factory=dict)
    purpose: Annotated[Literal["transactional", "promotional"] | None, AnyCase] = None

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.id is None and not (self.shop_id and self.template):
            raise ValueError("names neither a stored message (id) nor shopId and template")
        if self.id is None and not (self.recipient or self.contact_id or self.context):
            raise ValueError(
                "says nothing of whom it is for: recipient (a number), contactId, or a customer in context"
            )
        return self


class BatchData(ShopJobData):
    """A campaign whose audience is to be written down; `campaign_id` is its id or its key."""

    campaign_id: int | str
    shop_id: ShopId | None = Field(None, max_length=255)
    batch_size: int | None = Field(None, ge=1, le=10_000)


def _in_snake_case(word: Any) -> Any:
    return to_snake(word.strip()) if isinstance(word, str) else word


class TaskData(ShopJobData):
    """A task of housekeeping; without `shop_id` it is done for every shop."""

    task: Annotated[
        Literal["cleanup_old_messages", "retry_failed_messages", "rollup_reports"], BeforeValidator(_in_snake_case)
    ]
    shop_id: ShopId | None = Field(None, max_length=255)


class CatchUpData(ShopJobData):
    """A look for stored events whose job was lost."""


def event_id(data: EventData | EvaluateData) -> str:
    """`shop-event-123`. Jobs without a row are added without an id of ours."""
    if data.id is None:
        raise TypeError("an event without a row has no job id")
    return f"shop-event-{data.id}"


def _message_id(data: SendData) -> str:
    if data.id is None:
        raise TypeError("a message without a row has no job id")
    return f"{SHOP_MESSAGE}-{data.id}"


def _as_told(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    return data


def _with_topic(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """`events:orders/create` and `orders/create` name the topic of a job whose data does not."""
    topic = topic_of(re.sub(rf"^{EVENTS.name}\W", "", name))
    return {**data, "topic": topic} if not data.get("topic") and "/" in topic else data


def _with_task(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """`housekeeping:rollup_reports` names the task of a job whose data does not."""
    return data if data.get("task") else {**data, "task": name.removeprefix(f"{HOUSEKEEPING.name}:")}


EVENT_TYPES: Mapping[str, JobType[EventData]] = {
    topic: JobType(EVENTS, topic, EventData, event_id, _with_topic) for topic in TOPICS
}
"""A kind of job for each topic: its name is the topic."""

CATCH_UP = JobType(EVENTS, "catch-up", CatchUpData)
EVALUATE = JobType(AUTOMATIONS, "evaluate", EvaluateData, event_id, _as_told)
BATCH = JobType(CAMPAIGNS, "batch", BatchData, adopt=_as_told)
SEND = JobType(DELIVERY, "send", SendData, _message_id, _as_told)
REPEAT = JobType(HOUSEKEEPING, "repeat", TaskData, adopt=_with_task)
CLEANUP = JobType(HOUSEKEEPING, "cleanup", TaskData)

JOB_TYPES: tuple[JobType[Any], ...] = (*EVENT_TYPES.values(), EVALUATE, BATCH, SEND, REPEAT, CLEANUP)
"""The kinds of job that other programs may add."""
