"""What Mitto calls: delivery reports and replies, under an address that only it knows."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from secrets import compare_digest, token_hex
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from tidings.errors import InvalidInput, NotFound
from tidings.log import get_logger
from tidings.messages.inbound.replies import Inbound, IncomingReply, StatusUpdate
from tidings.messages.ledger import DeliveryStatus
from tidings.providers.mitto import parse_delivery_report, parse_reply
from tidings.providers.reports import DeliveryReport, InboundMessage

log = get_logger(__name__)

PROVIDER = "mitto"

KnowsToken = Callable[[str], Awaitable[bool]]
"""Whether a shop has this token in its address for callbacks."""

_KEY = re.compile(r"(?P<message>[a-z][a-z-]*-\d{1,18})-\d+")
"""An idempotency key: the message's name and when its row was made."""


class MittoOut(BaseModel):
    """What was made of a callback: `report`, `reply`, or None when it said neither."""

    taken_as: str | None


def mitto_router(inbound: Inbound, knows_token: KnowsToken, house_token: str | None = None) -> APIRouter:
    """POST /webhooks/mitto/<token>. `house_token` is that of the house's own Mitto account, if it has one."""
    router = APIRouter(tags=["webhooks"])

    @router.post("/webhooks/mitto/{token}")
    async def receive_mitto_callback(token: Annotated[str, Path(max_length=200)], request: Request) -> MittoOut:
        """Takes in a delivery report or a reply, as JSON or as a form."""
        is_house = house_token is not None and compare_digest(token.encode(), house_token.encode())
        if not is_house and not await knows_token(token):
            raise HTTPException(404, "There is no such address for callbacks.")
        fields = {**dict(request.query_params), **_fields(await request.body())}
        if report := parse_delivery_report(fields):
            await _report(inbound, report)
            return MittoOut(taken_as="report")
        if reply := parse_reply(fields):
            await _reply(inbound, reply)
            return MittoOut(taken_as="reply")
        log.info("mitto's callback says neither how a message fared nor what somebody wrote", fields=sorted(fields))
        return MittoOut(taken_as=None)

    return router


async def _report(inbound: Inbound, report: DeliveryReport) -> None:
    named = _KEY.fullmatch(report.reference or "")
    update = StatusUpdate(
        DeliveryStatus(report.status),
        report.provider_message_id,
        named["message"] if named else None,
        report.at,
        report.error,
    )
    try:
        await inbound.receive_status(update)
    except NotFound as error:  # of a message that somebody else sent through the same account
        log.info("mitto's report is about no message of ours", error=str(error))


async def _reply(inbound: Inbound, reply: InboundMessage) -> None:
    try:
        await inbound.receive_reply(
            IncomingReply(
                provider=PROVIDER,
                # Without an id of its own nothing tells a repetition from a second message; both are taken in.
                provider_message_id=reply.provider_message_id or f"unnamed-{token_hex(16)}",
                sender=reply.sender,
                text=reply.text,
                received_at=reply.received_at,
            )
        )
    except InvalidInput as error:  # a name instead of a number: nobody whom we could have written to
        log.info("mitto's reply is from nobody who can be answered", error=str(error))


def _fields(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object or a form; nothing for anything else."""
    try:
        found = json.loads(body)
        return found if isinstance(found, dict) else {}
    except (ValueError, RecursionError):
        try:
            return dict(parse_qsl(body.decode(), max_num_fields=100))
        except ValueError:
            return {}
