"""HTTP endpoints of opt-outs: added, ended, listed, and decided about where a reply left it open."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import StringConstraints

from tidings.fields import AnyCase, Input, Output, Storable
from tidings.messages.contacts.opting import OptOutDesk
from tidings.web.routing import new_router, provided

Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=254)]
TenantName = Annotated[str, StringConstraints(pattern=r"^(\*|installation|shop:\d{1,18}|customer:\d{1,18})$")]
ChannelName = Annotated[Literal["sms", "email", "whatsapp", "*"], AnyCase]


class OptOutIn(Input):
    """Whom to send nothing any more: a phone number or a mail address; of which tenant, and by which channel.

    By default that is every tenant (`*`) and every channel. `promotional` stops promotional messages only. `words`
    are what the person said.
    """

    address: Address
    tenant: TenantName = "*"
    channel: ChannelName = "*"
    promotional: bool = False
    words: Annotated[str, StringConstraints(max_length=1000), Storable] | None = None


class OptInIn(Input):
    """Whose opt-outs end: by default every one of the address. With a `tenant` only what was said to that one."""

    address: Address
    tenant: TenantName = "*"
    channel: ChannelName = "*"


class DecisionIn(Input):
    """Whether the person meant STOP."""

    stop: bool


class OptOutChanged(Output):
    """Whether the request changed anything."""

    changed: bool


class OptOutOut(Output):
    """An opt-out; times are UTC. It holds while `ended_at` is null; `stops` is all, promotional or unsure."""

    id: int
    tenant: str
    channel: str
    address: str
    stops: str
    opted_out_at: datetime
    door: str
    source: str
    words: str | None
    ended_at: datetime | None
    ended_by: str | None


class OptOutsOut(Output):
    """Opt-outs, newest first; `before` is the id for the next page."""

    opt_outs: list[OptOutOut]
    before: int | None


Desk = Annotated[OptOutDesk, provided(OptOutDesk)]

router = new_router(tags=["people"])


@router.post("/opt-outs")
async def opt_out(who: OptOutIn, desk: Desk) -> OptOutChanged:
    """Sends nothing to an address any more."""
    return OptOutChanged(changed=await desk.add(**who.model_dump()))


@router.post("/opt-ins")
async def opt_in(who: OptInIn, desk: Desk) -> OptOutChanged:
    """Ends the opt-outs of an address."""
    return OptOutChanged(changed=await desk.end(who.address, tenant=who.tenant, channel=who.channel))


@router.get("/opt-outs")
async def list_opt_outs(
    desk: Desk,
    address: Address | None = None,
    tenant: TenantName | None = None,
    unsure: bool = False,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> OptOutsOut:
    """Opt-outs with their evidence; with `unsure` those about which a person has to decide."""
    page = await desk.list(address=address, tenant=tenant, unsure=unsure, before=before, limit=limit)
    return OptOutsOut(opt_outs=[OptOutOut.model_validate(row) for row in page.rows], before=page.after)


@router.post("/opt-outs/{opt_out_id}/decision")
async def decide_opt_out(
    opt_out_id: Annotated[int, Path(ge=1, le=2**63 - 1)], decision: DecisionIn, desk: Desk
) -> OptOutOut:
    """Says whether somebody meant STOP whose words left it open."""
    return OptOutOut.model_validate(await desk.decide(opt_out_id, stop=decision.stop))
