"""The webhooks of WhatsApp: Meta's, and those of the QR service."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Header, Path, Request
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from tidings.features.chat.service import Chat
from tidings.features.chat.whatsapp.callbacks import Refused, TakenIn
from tidings.fields import Output
from tidings.messages.routes.inbound import SECRET_HEADER
from tidings.web.routing import new_router, provided
from tidings.web.signatures import META_HEADER

Service = Annotated[Chat, provided(Chat)]
Key = Annotated[str, Path(max_length=32, description="The phone number ID at Meta, or the account's id.")]
Session = Annotated[str, Path(max_length=100, description="The session's id at the QR service.")]

JSON: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
"""The body is read as it came, since its bytes are what is signed."""

router = new_router(strict=False, tags=["webhooks"])


class TakenInOut(Output):
    """What a request brought."""

    messages: int
    duplicates: int
    statuses: int
    ignored: int
    preferences: int


@router.get("/webhooks/whatsapp/cloud/{key}", response_class=PlainTextResponse)
async def verify_whatsapp_cloud(chat: Service, key: Key, request: Request) -> PlainTextResponse:
    """Meta's handshake: answers the challenge when the verify token is the account's."""
    try:
        return PlainTextResponse(await chat.whatsapp.verify_cloud(key, request.query_params))
    except Refused:
        raise HTTPException(403, "The verify token is not that of this account.") from None


@router.post("/webhooks/whatsapp/cloud/{key}", openapi_extra=JSON)
async def receive_whatsapp_cloud(
    chat: Service, key: Key, request: Request, signature: Annotated[str | None, Header(alias=META_HEADER)] = None
) -> TakenInOut:
    """Takes in messages and statuses, signed with the account's app secret; answers once they are stored."""
    try:
        return _out(await chat.whatsapp.receive_cloud(key, await request.body(), signature))
    except Refused:
        sentence = f"The header {META_HEADER} is not this account's signature of the body."
        raise HTTPException(401, sentence) from None


@router.post("/webhooks/whatsapp/qr/{session}", openapi_extra=JSON)
async def receive_whatsapp_qr(
    chat: Service,
    session: Session,
    request: Request,
    secret: Annotated[str | None, Header(alias=SECRET_HEADER)] = None,
) -> TakenInOut:
    """Takes in a message or a status of a session, with the session's shared secret."""
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    try:
        return _out(await chat.whatsapp.receive_qr(session, secret, body))
    except Refused:
        raise HTTPException(401, f"The header {SECRET_HEADER} does not hold the session's secret.") from None


def _out(taken: TakenIn) -> TakenInOut:
    return TakenInOut(**asdict(taken))
