"""The queue of customers' webhooks and the job in it, under the specification's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, model_validator

from tidings.engine.jobs import JobType
from tidings.engine.policy import QueuePolicy
from tidings.fields import JobData, JsonIsObject
from tidings.messages.kind import adopt_message

WEBHOOK_DELIVERY = QueuePolicy(
    "webhook-delivery",
    concurrency=20,
    attempts=3,
    backoff=1.0,
    keep_completed_seconds=3600,
    keep_failed_seconds=24 * 3600,
)

WEBHOOK_EVENT = "webhook-event"


class WebhookJob(JobData):
    """An event to deliver: a stored one (`id`), or `event` and `payload` with the endpoint that is to hear of it.

    Another program names the endpoint by its id (`webhookId`), or by its `url`, with the customer's id where several
    customers have that one.
    """

    id: int | None = None
    endpoint_id: int | None = Field(
        None, validation_alias=AliasChoices("endpointId", "webhookId", "endpoint_id", "webhook_id")
    )
    url: str | None = Field(None, max_length=2000, validation_alias=AliasChoices("url", "webhookUrl", "webhook_url"))
    customer_id: int | None = None
    event: str | None = Field(None, validation_alias=AliasChoices("event", "eventType", "event_type", "type"))
    payload: Annotated[dict[str, Any], JsonIsObject] = Field(
        default_factory=dict, validation_alias=AliasChoices("payload", "data", "body")
    )

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.id is None and not (self.event and (self.endpoint_id or self.url)):
            raise ValueError("names neither a stored event (id) nor event and endpoint (webhookId or url)")
        return self


def _event_name(data: WebhookJob) -> str:
    if data.id is None:
        raise TypeError("an event without a row has no job id")
    return f"{WEBHOOK_EVENT}-{data.id}"


def _adopt(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    return adopt_message(name, data) or data


DELIVER_WEBHOOK = JobType(WEBHOOK_DELIVERY, "webhook-delivery", WebhookJob, _event_name, _adopt)
