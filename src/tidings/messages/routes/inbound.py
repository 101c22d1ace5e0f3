"""What n8n calls when somebody replies or a message was delivered, with a secret that both know."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal

from fastapi import Depends, Header
from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from tidings.fields import AnyCase
from tidings.messages.inbound.door import Inbound
from tidings.messages.inbound.keywords import Command
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.inbound.reports import StatusUpdate
from tidings.messages.ledger import DeliveryStatus
from tidings.providers.reports import STATUSES, read_status
from tidings.web.routing import new_router, provided
from tidings.web.webhooks import require_secret

SETTING = "N8N_INBOUND_SECRET"
SECRET_HEADER = "X-Tidings-Secret"
PROVIDER = "n8n"

Secret = Annotated[str | None, Header(alias=SECRET_HEADER, description=f"The shared secret ({SETTING}).")]
Moment = Annotated[AwareDatetime, Field(gt=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
ProviderId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]


_DEEPEST = 4
"""Levels of items, bodies and data that may be around what is posted."""


class _FromProvider(BaseModel):
    """What a workflow posts; fields that nobody asked for are ignored, since providers add some.

    Names of fields may have any letters, as in MessageStatus, message_status and messagestatus. Ids and texts may
    come as JSON numbers, and NUL characters are left out, as no database takes them. The whole may be n8n's one item,
    or what its Webhook node makes of a request: then the fields are in `json`, `data` or `body`.
    """

    model_config = ConfigDict(populate_by_name=True, coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _as_posted(cls, data: Any) -> Any:
        for _ in range(_DEEPEST):
            if isinstance(data, list) and len(data) == 1:
                data = data[0]
            if not isinstance(data, dict):
                return data
            inner = [data[name] for name in ("json", "body", "data") if isinstance(data.get(name), dict | list)]
            if not inner:
                break
            data = inner[0]
        names = cls._names()
        fields = {names.get(_plain(key), key): value for key, value in data.items() if key not in names.values()}
        fields |= {key: value for key, value in data.items() if key in names.values()}
        return {key: value.replace("\0", "") if isinstance(value, str) else value for key, value in fields.items()}

    @classmethod
    @cache
    def _names(cls) -> dict[str, str]:
        """The names under which a field is read, by their letters and digits alone."""
        found: dict[str, str] = {}
        for name, read in cls.model_fields.items():
            alias = read.validation_alias
            for one in (name, *(alias.choices if isinstance(alias, AliasChoices) else ())):
                found.setdefault(_plain(str(one)), str(one))
        return found


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _as_text(sender: Any) -> str:
    """Whatever stands in the sender's place, as text; what is too long for an address is cut."""
    return sender[:254] if isinstance(sender, str) else "" if sender is None else str(sender)[:254]


def _status(word: Any) -> Any:
    """How a message fares, in whatever word and letters."""
    if not isinstance(word, str) or word.strip().upper() in DeliveryStatus.__members__:
        return word.strip().upper() if isinstance(word, str) else word
    if (found := read_status(word)) is None:
        words = ", ".join(STATUSES)
        raise ValueError(f"{word[:40]!r} is not understood; write SENT, DELIVERED, READ or FAILED, or one of {words}")
    return found


def _or_now(moment: Any, read: ValidatorFunctionWrapHandler) -> datetime | None:
    try:
        found: datetime | None = read(moment)
    except ValidationError:
        return None
    return found


def _said(error: Any) -> Any:
    """A provider's error as text, also where it is an object like Meta's."""
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict):
        named = (error[name] for name in ("message", "description", "title") if isinstance(error.get(name), str))
        error = next(named, json.dumps(error))
    return error[:1000] if isinstance(error, str) else error


class ReplyIn(_FromProvider):
    """A reply. `provider_message_id` is the provider's id of the reply; the same id is taken in once.

    `channel` is sms for a phone number and email for a mail address, unless it says whatsapp. A sender or a moment
    that cannot be read is no reason to lose a STOP: the one is kept for a person to look at, the other counts as now.
    """

    phone: Annotated[str, BeforeValidator(_as_text)] = Field(
        "", validation_alias=AliasChoices("phone", "from", "sender")
    )
    message: str = Field(max_length=10_000, validation_alias=AliasChoices("message", "text", "body"))
    provider_message_id: ProviderId = Field(
        validation_alias=AliasChoices("provider_message_id", "message_id", "messageId", "id")
    )
    received_at: Annotated[Moment | None, WrapValidator(_or_now)] = None
    in_reply_to: ProviderId | None = None
    channel: Annotated[Literal["sms", "whatsapp", "email"] | None, AnyCase] = None


class StatusIn(_FromProvider):
    """A delivery report about a message, named by the provider's id or by ours, like event-message-123, in whichever
    field. `status` is any word that providers use, in any letters. A moment that cannot be read counts as now: it is
    no reason to lose the report.
    """

    status: Annotated[DeliveryStatus, BeforeValidator(_status)] = Field(
        validation_alias=AliasChoices(
            "status", "delivery_status", "deliveryStatus", "message_status", "MessageStatus", "sms_status"
        )
    )
    provider_message_id: ProviderId | None = Field(
        None,
        validation_alias=AliasChoices(
            *("provider_message_id", "message_id", "messageId", "MessageSid", "sms_sid", "message_uuid", "sid", "id"),
        ),
    )
    message: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, validation_alias=AliasChoices("message", "name", "reference", "idempotency_key")
    )
    at: Annotated[Moment | None, WrapValidator(_or_now)] = None
    error: Annotated[str | None, BeforeValidator(_said)] = Field(
        None, validation_alias=AliasChoices("error", "error_message", "reason", "error_text", "error_code")
    )


class ReplyOut(BaseModel):
    """What became of a reply. `message` is the one that it answers, `tenant` whom it was written to."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    duplicate: bool
    action_taken: str
    command: Command | None
    contact_id: int | None
    message: str | None
    rating: int | None
    sentiment_score: float | None
    tenant: str
    unsure: bool


class StatusOut(BaseModel):
    """Whether the report said anything new."""

    changed: bool


@dataclass(frozen=True, slots=True)
class N8nCallbacks:
    """Where n8n's callbacks go, and the shared secret that they need; None: none is set up."""

    inbound: Inbound
    secret: str | None = field(repr=False)


Callbacks = Annotated[N8nCallbacks, provided(N8nCallbacks)]


async def check_secret(callbacks: Callbacks, x_tidings_secret: Secret = None) -> None:
    """Lets only callers in that send the secret in X-Tidings-Secret."""
    require_secret(x_tidings_secret, callbacks.secret, setting=SETTING, header=SECRET_HEADER)


router = new_router(strict=False, tags=["webhooks"], dependencies=[Depends(check_secret)])


@router.post("/webhooks/n8n/replies")
async def receive_reply(reply: ReplyIn, callbacks: Callbacks) -> ReplyOut:
    """Takes in what somebody answered: STOP, START and HELP are carried out, others reach their feature."""
    return ReplyOut.model_validate(
        await callbacks.inbound.receive_reply(
            IncomingReply(
                provider=PROVIDER,
                provider_message_id=reply.provider_message_id,
                sender=reply.phone,
                text=reply.message,
                received_at=reply.received_at,
                in_reply_to=reply.in_reply_to,
                channel=reply.channel,
            )
        )
    )


@router.post("/webhooks/n8n/statuses")
async def receive_status(report: StatusIn, callbacks: Callbacks) -> StatusOut:
    """Takes in a delivery report; the status of a message only moves upward."""
    changed = await callbacks.inbound.receive_status(
        StatusUpdate(report.status, report.provider_message_id, report.message, report.at, report.error)
    )
    return StatusOut(changed=changed)
