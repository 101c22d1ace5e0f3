"""HTTP endpoints about contacts and single messages of every feature: opt-outs, consents, standing, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from tidings.messages.contacts.people import People
from tidings.messages.gate.zones import ZoneSource
from tidings.messages.inbound.keywords import Command
from tidings.messages.ledger import DeliveryStatus, Outcome
from tidings.messages.routes.consents import ConsentOut
from tidings.messages.routes.opt_outs import OptOutOut
from tidings.messages.statuses import Reason
from tidings.messages.why import Why
from tidings.web.routing import new_router, provided


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which no database text can; leave it out")
    return text


Storable = AfterValidator(_storable)
Moment = Annotated[AwareDatetime, Field(gt=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
ContractorId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class LineOut(_Out):
    """One line of the ledger. `kind` and `message_id` name the message; the inputs are what was decided from."""

    at: datetime
    kind: str
    message_id: int
    tenant: str | None
    outcome: Outcome
    reason: Reason | None
    attempt: int
    channel: str | None
    provider: str | None
    provider_message_id: str | None
    error: str | None
    lateness_ms: float | None
    duration_ms: float | None
    request_id: str | None
    delivery_status: DeliveryStatus | None
    delivery_status_at: datetime | None
    inputs: dict[str, object]


class ReplyLineOut(_Out):
    received_at: datetime
    tenant: str
    text: str
    command: Command | None
    kind: str | None
    message_id: int | None
    sentiment_score: float | None
    rating: int | None
    action_taken: str


class StandingOut(_Out):
    """What the gate goes by for one contact, and what happened lately; times are UTC, trust is 0 to 100."""

    opted_out: bool
    opt_outs: list[OptOutOut]
    consents: list[ConsentOut]
    trust: float
    deliveries: list[LineOut]
    replies: list[ReplyLineOut]


class WhyOut(_Out):
    """Why a message did or did not go out, in plain sentences, and the ledger's lines behind them."""

    message: str
    status: str
    summary: str
    sentences: list[str]
    lines: list[LineOut] = Field(description="Oldest first.")
    timezone: str | None = Field(description="Where the recipient is taken to be; null for a number nobody knows.")
    timezone_source: ZoneSource | None = Field(description="What tells it.")


Contacts = Annotated[People, provided(People)]

router = new_router()


@router.get("/contractors/{contractor_id}/standing", tags=["people"])
async def get_standing(contractor_id: ContractorId, people: Contacts) -> StandingOut:
    """Opt-outs, consents, trust, and the latest 50 deliveries and replies of a contact."""
    return StandingOut.model_validate(await people.get_standing(contractor_id))


@router.get("/messages/{message}/why", tags=["messages"])
async def explain(
    message: Annotated[str, Path(max_length=64, examples=["event-message-123"])],
    why: Annotated[Why, provided(Why)],
) -> WhyOut:
    """Why a message did or did not go out, in plain sentences."""
    return WhyOut.model_validate(await why.explain(message))
