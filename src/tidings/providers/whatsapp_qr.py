"""WhatsApp through a small service that holds sessions which were opened by scanning a QR code.

Such a service wraps one of the libraries that speak WhatsApp Web. Tidings defines the few lines of HTTP it needs:
docs/whatsapp-qr.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from tidings.clock import SystemClock
from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.reports import DeliveryReport, InboundMessage, ReportedStatus
from tidings.providers.responses import raise_for_response
from tidings.providers.whatsapp_fields import as_object, identifier, json_object, line, moment, phone, text
from tidings.settings import Optional, SettingsGroup

_NOBODY = ("@g.us", "@broadcast", "@newsletter")
"""How the ids of groups, broadcasts and channels end."""

_LOST = {404: "is not known", 409: "is not connected"}
_STATUSES: dict[str, ReportedStatus] = {
    "sent": "SENT",
    "delivered": "DELIVERED",
    "read": "READ",
    "failed": "FAILED",
}


class WhatsAppQrSettings(SettingsGroup):
    """Where the QR service is."""

    whatsapp_qr_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="WHATSAPP_QR_URL",
        description="Address of the WhatsApp QR service (docs/whatsapp-qr.md).",
    )


class QrError(SendError):
    """The service did not take a message. `session_lost`: its session takes none until a QR code is scanned again."""

    def __init__(self, message: str, *, session_lost: bool) -> None:
        super().__init__(message, retryable=False)
        self.session_lost = session_lost


@dataclass(frozen=True, slots=True)
class QrSession:
    """A session of the service."""

    session_id: str

    @property
    def key(self) -> str:
        return self.session_id


class WhatsAppQr:
    """Sends texts through the service at `url`; `/send` is added to it. Without a URL every message is refused.

    Every attempt at one message has the same `idempotencyKey`, by which the service drops repetitions.
    Raises ConfigurationError for a URL that cannot work.
    """

    name = "whatsapp_qr"
    drops_repetitions = True

    def __init__(self, http: HttpClient, url: str | None) -> None:
        if url is not None and not _is_http(url):
            raise ConfigurationError(
                "the URL of the WhatsApp QR service is no http:// or https:// address; write one like http://localhost:3001"
            )
        self._http = http
        self._url = f"{url.rstrip('/')}/send" if url is not None else None

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Sends the text from the session that is the message's account. Raises SendError as `send_text` does."""
        if not isinstance(outgoing.account, QrSession):
            raise SendError("the message names no session to send it from", retryable=False)
        return await self.send_text(
            outgoing.account.session_id, outgoing.to, outgoing.text, idempotency_key=outgoing.idempotency_key
        )

    async def close(self) -> None:
        """Nothing to release: the HTTP client belongs to whoever made it."""

    async def send_text(
        self, session_id: str, to: str, message: str, *, idempotency_key: str | None = None
    ) -> Receipt:
        """Sends a text from a session to an E.164 number, or to a sender as the service named it.

        Raises QrError with `session_lost` when the service answers 404 or 409; otherwise SendError as
        `HttpClient.post_json` and `raise_for_response` say. An answer without an id is final: the message may have
        left, and trying again could send it once more with every attempt.
        """
        if self._url is None:
            raise SendError("no WhatsApp QR service is set up; set WHATSAPP_QR_URL to its address", retryable=False)
        if not message.strip():
            raise SendError("the message is empty; WhatsApp takes no empty text", retryable=False)
        if not to.strip():
            raise SendError("there is no recipient; write a phone number with + and country code", retryable=False)
        key = {"idempotencyKey": idempotency_key} if idempotency_key else {}
        response = await self._http.post_json(
            self._url,
            {"sessionId": session_id, "to": to, "message": message, **key},
            repeatable=bool(key),
        )
        if response.status in _LOST:
            said = line(response.body.decode(errors="replace")) or "nothing more"
            raise QrError(
                f"whatsapp_qr answered {response.status}: session {line(session_id, 80)!r} {_LOST[response.status]}; "
                f"scan its QR code again, or check the service's URL ({said})",
                session_lost=True,
            )
        # A date in Retry-After is on the world's clock, also when Tidings runs on a faster one.
        raise_for_response(self.name, response, SystemClock().now())
        return Receipt(self.name, _message_id(response.body))


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingQr(InboundMessage):
    """What somebody wrote to a session. `sender` is E.164, or the service's name for one who hides the number.

    `own`: the business itself wrote it to `sender`, on the phone.
    """

    session_id: str
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QrStatus(DeliveryReport):
    """How a message fared that left from a session."""

    session_id: str


def parse_qr_webhook(payload: object) -> IncomingQr | QrStatus | None:
    """The message or status in the parsed JSON of a request; None when it is neither. Never raises."""
    event = as_object(payload)
    session_id, message_id = identifier(event.get("sessionId")), identifier(event.get("messageId"))
    if not (session_id and message_id):
        return None
    at = moment(event.get("timestamp"))
    if "status" in event:
        status = _STATUSES.get((identifier(event.get("status")) or "").lower())
        if status is None:
            return None
        return QrStatus(
            provider_message_id=message_id,
            status=status,
            at=at,
            error=(line(event.get("error")) or "the service gave no reason") if status == "FAILED" else None,
            reference=identifier(event.get("idempotencyKey")),
            session_id=session_id,
        )
    own = event.get("fromMe") is True
    sender = _person(event.get("to" if own else "from"))
    words = text(event.get("message"))
    if not sender or words is None or event.get("isGroup") is True:
        return None
    return IncomingQr(
        provider_message_id=message_id, sender=sender, text=words, received_at=at, session_id=session_id, own=own
    )


def _person(value: object) -> str | None:
    """Who is written with; None for a group, a channel or a broadcast, whose answers would reach the wrong people."""
    name = phone(value) or identifier(value)
    return None if name is None or name.endswith(_NOBODY) else name


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        return False


def _message_id(body: bytes) -> str:
    if found := identifier(json_object(body).get("messageId")):
        return found
    shown = line(body.decode(errors="replace")) or "it is empty"
    raise SendError(
        f"whatsapp_qr's answer does not say whether the message left, and it is not sent again: {shown}",
        retryable=False,
    )


def open_provider(parts: ProviderParts) -> Mapping[str, Provider]:
    """The QR service, for every session that is connected."""
    return {WhatsAppQr.name: WhatsAppQr(parts.http, parts.settings_of(WhatsAppQrSettings).whatsapp_qr_url)}
