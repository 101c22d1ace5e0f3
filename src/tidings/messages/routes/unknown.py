"""HTTP endpoints about messages whose outcome nobody knows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from tidings.fields import Input
from tidings.messages.statuses import Status
from tidings.messages.unknown import Settlement, UnknownOutcomes
from tidings.web.routing import new_router, provided

Name = Annotated[str, Path(max_length=64, description="The message's name, like event-message-123.")]
After = Annotated[int, Query(ge=0, le=2**63 - 1, description="The last id of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most entries to return.")]


class UnknownMessageOut(BaseModel):
    """A message that may have left; `at` (UTC) is when no answer had come, `error` says why nobody knows."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    message: str
    at: datetime
    contact_id: int | None
    channel: str | None
    provider: str | None
    error: str | None


class SettleIn(Input):
    """What is to become of it: it was `sent`, or is to be sent `again`."""

    settlement: Settlement = Field(alias="as")


class SettledOut(BaseModel):
    """The message's new status."""

    message: str
    status: Status


Unknown = Annotated[UnknownOutcomes, provided(UnknownOutcomes)]

router = new_router(tags=["messages"])


@router.get("/messages/unknown")
async def list_unknown_messages(unknown: Unknown, after_id: After = 0, limit: Limit = 100) -> list[UnknownMessageOut]:
    """Messages that may have left, in order of id; the last id is the next page's `after_id`."""
    found = await unknown.list_messages(after_id=after_id, limit=limit)
    return [UnknownMessageOut.model_validate(one) for one in found]


@router.post("/messages/{name}/settle")
async def settle_message(name: Name, body: SettleIn, unknown: Unknown) -> SettledOut:
    """Notes that such a message was sent, or has it sent again under the same idempotency key."""
    return SettledOut(message=name, status=await unknown.settle(name, body.settlement))
