"""What providers call: delivery reports and replies, each under an address that only it knows."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from secrets import compare_digest, token_hex
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from tidings.errors import NotFound
from tidings.log import get_logger
from tidings.messages.inbound.door import Inbound
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.inbound.reports import StatusUpdate, own_name
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.tenants import INSTALLATION
from tidings.providers.reports import DeliveryReport, InboundMessage
from tidings.web.routing import new_router, provided

log = get_logger(__name__)

TenantOfToken = Callable[[str], Awaitable[str | None]]
"""The tenant whose account has this token in its address for callbacks; None: nobody's has."""

ReadCallback = Callable[[Mapping[str, Any]], DeliveryReport | InboundMessage | None]
"""What a callback says, by its parameters or its JSON object; None when it says nothing that concerns a message."""


class CallbackOut(BaseModel):
    """What was made of a callback: `report`, `reply`, or None when it said neither."""

    taken_as: str | None


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Where providers' callbacks go, and under which tokens.

    `tokens` are those of the installation's own accounts, by provider, where it has one; `tenants` say which tenant's
    account has one.
    """

    inbound: Inbound
    tokens: Mapping[str, str | None] = field(repr=False)
    tenants: Sequence[TenantOfToken]

    async def tenant_of(self, provider: str, token: str) -> str | None:
        """Whose account at this provider calls back with this token; others may share the installation's."""
        own = self.tokens.get(provider)
        if own is not None and compare_digest(token.encode(), own.encode()):
            return INSTALLATION
        found = [await tenant_of(token) for tenant_of in self.tenants]
        return next((tenant for tenant in found if tenant is not None), None)


@cache
def callback_router(**readers: ReadCallback) -> APIRouter:
    """POST /webhooks/<provider>/<token> for each provider, which its function reads; built once a process."""
    router = new_router(strict=False, tags=["webhooks"])
    for provider, read in readers.items():
        router.add_api_route(
            f"/webhooks/{provider}/{{token}}",
            _endpoint(provider, read),
            methods=["POST"],
            name=f"receive_{provider}_callback",
        )
    return router


def _endpoint(provider: str, read: ReadCallback) -> Callable[..., Awaitable[CallbackOut]]:
    async def receive_callback(
        token: Annotated[str, Path(max_length=200)],
        request: Request,
        callbacks: Annotated[Callbacks, provided(Callbacks)],
    ) -> CallbackOut:
        """Takes in a delivery report or a reply, as JSON or as a form."""
        holder = await callbacks.tenant_of(provider, token)
        if holder is None:
            raise HTTPException(404, "There is no such address for callbacks.")
        tenant = None if holder == INSTALLATION else holder
        fields = {**dict(request.query_params), **_fields(await request.body())}
        match read(fields):
            case DeliveryReport() as report:
                await _report(callbacks.inbound, provider, report, tenant)
                return CallbackOut(taken_as="report")
            case InboundMessage() as reply:
                await _reply(callbacks.inbound, provider, reply, tenant)
                return CallbackOut(taken_as="reply")
        said = "a callback says neither how a message fared nor what somebody wrote"
        log.info(said, provider=provider, fields=sorted(fields))
        return CallbackOut(taken_as=None)

    return receive_callback


async def _report(inbound: Inbound, provider: str, report: DeliveryReport, tenant: str | None) -> None:
    update = StatusUpdate(
        DeliveryStatus(report.status),
        report.provider_message_id,
        own_name(report.reference or ""),
        report.at,
        report.error,
        tenant,
    )
    try:
        await inbound.receive_status(update)
    except NotFound as error:  # of a message that somebody else sent through the same account
        log.info("a report is about no message of ours", provider=provider, error=str(error))


async def _reply(inbound: Inbound, provider: str, reply: InboundMessage, tenant: str | None) -> None:
    await inbound.receive_reply(
        IncomingReply(
            provider=provider,
            # Without an id of its own nothing tells a repetition from a second message; both are taken in.
            provider_message_id=reply.provider_message_id or f"unnamed-{token_hex(16)}",
            sender=reply.sender,
            text=reply.text,
            received_at=reply.received_at,
            tenant=tenant,
        )
    )


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
