"""HTTP endpoints of replies: listed, and settled once a person has looked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import computed_field

from tidings.fields import Output
from tidings.messages.inbound.listing import ReplyList
from tidings.messages.routes.opt_outs import TenantName
from tidings.web.routing import new_router, provided

Before = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="The `before` of the page before.")]
ContactId = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only those of this contractor.")]
Needs = Annotated[
    Literal["person"] | None,
    Query(
        description="`person`: only those that somebody has to look at: unhappy ones, those that may mean STOP, and "
        "those whose sender cannot be read."
    ),
]


class ReplyRow(Output):
    """A reply; times are UTC. `tenant` is whom it was written to, `door` by what it came in.

    `command` is STOP, START or HELP; `unsure` says that it may mean STOP. `sentiment_score` is -1 to 1, `rating` 1 to
    10; `action_taken` says what became of it. `needs_person` holds until a person has looked.
    """

    id: int
    tenant: str
    door: str
    channel: str | None
    sender: str
    contact_id: int | None
    text: str
    received_at: datetime
    command: str | None
    unsure: bool
    kind: str | None
    message_id: int | None
    sentiment_score: float | None
    rating: int | None
    action_taken: str
    needs_person: bool

    @computed_field(description="The message that it answers, like event-message-123.")
    def message(self) -> str | None:
        return f"{self.kind}-{self.message_id}" if self.kind else None


class RepliesOut(Output):
    """Replies, newest first; `before` is the id for the next page."""

    replies: list[ReplyRow]
    before: int | None


Listing = Annotated[ReplyList, provided(ReplyList)]

router = new_router(tags=["people"])


@router.get("/replies")
async def list_replies(
    listing: Listing,
    tenant: TenantName | None = None,
    contact: ContactId = None,
    needs: Needs = None,
    before: Before = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RepliesOut:
    """What people answered, newest first."""
    page = await listing.list(
        tenant=tenant, contact_id=contact, needs_person=needs is not None, before=before, limit=limit
    )
    return RepliesOut(replies=[ReplyRow.model_validate(row) for row in page.rows], before=page.before)


@router.post("/replies/{reply_id}/settled")
async def settle_reply(reply_id: Annotated[int, Path(ge=1, le=2**63 - 1)], listing: Listing) -> ReplyRow:
    """Notes that a person has looked at a reply."""
    return ReplyRow.model_validate(await listing.settle(reply_id))
