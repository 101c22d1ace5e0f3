"""What Meta posts about WhatsApp: messages, statuses of sent ones, and who wants marketing messages no more.

Fields follow Meta's webhook references `messages`, `status messages`, `user_preferences` and `smb_message_echoes`;
what the phone app tells beside those (`history`, `smb_app_state_sync`) is left out. A request may hold many
events of many phone numbers, and the same event may come again. Whether it comes from Meta at all, its signature
tells before this (tidings.web.signatures).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidings.providers.reports import DeliveryReport, InboundMessage, ReportedStatus
from tidings.providers.whatsapp_cloud.contents import content_of
from tidings.providers.whatsapp_cloud.echoes import EchoedWhatsApp, read_echo
from tidings.providers.whatsapp_cloud.errors import advice, describe, needs_template, opted_out, read_code
from tidings.providers.whatsapp_cloud.identities import NewIdentity, read_identity
from tidings.providers.whatsapp_fields import as_list, as_object, identifier, line, moment, phone

_STATUSES: dict[str, ReportedStatus] = {
    "sent": "SENT",
    "delivered": "DELIVERED",
    "read": "READ",
    "played": "READ",  # a voice message that was listened to
    "failed": "FAILED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingWhatsApp(InboundMessage):
    """What somebody sent to the business phone number with ID `phone_number_id`.

    `sender` is E.164, or the user ID where the person hides the number; `user_id` is that ID whenever Meta names it.
    `kind` is Meta's type of the message. Only text, button, interactive and edit have the person's own words as
    `text`; the others a placeholder in square brackets, followed by the caption. `payload` is the id of the button or
    list row that was chosen, or the JSON that a form was filled in with. `reply_to` is the wamid it answers or reacts
    to, or, for edit and revoke, the one it changes. `group_id` is set when it was written to a group.
    """

    phone_number_id: str
    kind: str
    profile_name: str | None = None
    user_id: str | None = None
    reply_to: str | None = None
    payload: str | None = None
    group_id: str | None = None


@dataclass(frozen=True, slots=True)
class CloudFault:
    """An error that Meta reports; `text` is Meta's words and what to change, on one line."""

    code: int | None
    text: str

    def __str__(self) -> str:
        return self.text if self.code is None else f"code {self.code}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatsAppStatus(DeliveryReport):
    """How a message fared that left from the business phone number with ID `phone_number_id`.

    `origin` is what Meta bills it as: service, utility, marketing, authentication or referral_conversion (the
    conversation's origin, or the price category where newer versions name no conversation).
    """

    phone_number_id: str
    recipient: str | None = None
    origin: str | None = None
    faults: tuple[CloudFault, ...] = ()

    @property
    def needs_template(self) -> bool:
        """Whether it failed for being a text outside the 24 hours; a template message may still go."""
        return any(needs_template(fault.code) for fault in self.faults)

    @property
    def opted_out(self) -> bool:
        """Whether it failed because the recipient stopped this business's marketing messages."""
        return any(opted_out(fault.code) for fault in self.faults)


@dataclass(frozen=True, slots=True)
class MarketingChoice:
    """Somebody told WhatsApp whether to get marketing messages of this business.

    `sender` and `user_id` as in IncomingWhatsApp; `words` is how Meta puts it.
    """

    phone_number_id: str
    sender: str
    wanted: bool
    at: datetime | None = None
    user_id: str | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookBatch:
    """The events of one request, each kind in the order of the request.

    `faults` concern an account or app, not a message. `skipped` counts the entries, changes and events that could
    not be read, and messages from the business's own number; changes of other fields than those that are read do not
    count. `echoes` are what the business itself wrote in the phone app, `identities` who is known by another number
    or id from now on.
    """

    messages: tuple[IncomingWhatsApp, ...] = ()
    statuses: tuple[WhatsAppStatus, ...] = ()
    choices: tuple[MarketingChoice, ...] = ()
    faults: tuple[CloudFault, ...] = ()
    skipped: int = 0
    echoes: tuple[EchoedWhatsApp, ...] = ()
    identities: tuple[NewIdentity, ...] = ()


def verify_handshake(query: Mapping[str, str], verify_token: str) -> str | None:
    """The challenge with which to answer Meta's GET request, as text/plain; None when the token is wrong.

    The comparison takes the same time for any token, right or wrong. A blank `verify_token` fits nothing.
    """
    given, challenge = query.get("hub.verify_token", ""), query.get("hub.challenge", "")
    fits = hmac.compare_digest(_bytes(given), _bytes(verify_token))
    return challenge if fits and verify_token.strip() and query.get("hub.mode") == "subscribe" and challenge else None


def _bytes(token: str) -> bytes:
    return token.encode(errors="backslashreplace")


def parse_webhook(payload: object) -> WebhookBatch:
    """Reads the parsed JSON of a request. Never raises: what it cannot read it skips and counts."""
    messages: list[IncomingWhatsApp] = []
    statuses: list[WhatsAppStatus] = []
    choices: list[MarketingChoice] = []
    faults: list[CloudFault] = []
    echoes: list[EchoedWhatsApp] = []
    identities: list[NewIdentity] = []
    skipped = 0
    for change in _changes(payload):
        value, field = as_object(change.get("value")), change.get("field")
        number = identifier(as_object(value.get("metadata")).get("phone_number_id"))
        own = phone(as_object(value.get("metadata")).get("display_phone_number"))
        if field == "smb_message_echoes":
            for event in as_list(value.get("message_echoes")):
                echo = read_echo(number, as_object(event))
                echoes += [echo] if echo else []
                skipped += echo is None
            continue
        if field not in ("messages", "user_preferences"):
            skipped += not isinstance(field, str)
            continue
        faults += map(_fault, as_list(value.get("errors")))
        for event in as_list(value.get("messages")):
            identity = read_identity(number, as_object(event))
            identities += [identity] if identity else []
            message = _message(number, as_object(event), as_list(value.get("contacts")))
            is_ours = message is not None and own is not None and message.sender == own
            messages += [message] if message and not is_ours else []
            skipped += is_ours or (message is None and identity is None)
        for event in as_list(value.get("statuses")):
            status = _status(number, as_object(event))
            statuses += [status] if status else []
            skipped += status is None
        for event in as_list(value.get("user_preferences")):
            choice = _choice(number, as_object(event))
            choices += [choice] if choice else []
            skipped += choice is None
    return WebhookBatch(
        tuple(messages), tuple(statuses), tuple(choices), tuple(faults), skipped, tuple(echoes), tuple(identities)
    )


def _changes(payload: object) -> Iterator[Mapping[str, Any]]:
    """Every change; an empty one stands for an entry or a change that is none."""
    for entry in as_list(as_object(payload).get("entry")):
        changes = as_object(entry).get("changes")
        for change in changes if isinstance(changes, list) else [None]:
            yield as_object(change)


def _message(number: str | None, event: Mapping[str, Any], contacts: list[Any]) -> IncomingWhatsApp | None:
    message_id, kind = identifier(event.get("id")), identifier(event.get("type"))
    sender, user_id = phone(event.get("from")), identifier(event.get("from_user_id"))
    content = content_of(kind, event) if kind else None
    if not (number and message_id and kind and content and (sender or user_id)):
        return None
    contact = next((contact for contact in map(as_object, contacts) if _is_of(contact, sender, user_id)), {})
    profile = as_object(contact.get("profile"))
    return IncomingWhatsApp(
        provider_message_id=message_id,
        sender=sender or user_id or "",
        text="\n".join(filter(None, (content.text, _about(event)))),
        received_at=moment(event.get("timestamp")),
        phone_number_id=number,
        kind=kind,
        profile_name=line(profile.get("name")) or line(profile.get("username")),
        user_id=user_id or identifier(contact.get("user_id")),
        reply_to=content.about or identifier(as_object(event.get("context")).get("id")),
        payload=content.payload,
        group_id=identifier(event.get("group_id")),
    )


def _about(event: Mapping[str, Any]) -> str | None:
    """What the words are about without saying it: the product beside the button, or the advertisement."""
    product = as_object(as_object(event.get("context")).get("referred_product")).get("product_retailer_id")
    if named := line(identifier(product)):
        return f"[about product {named}]"
    advertised = line(as_object(event.get("referral")).get("headline"))
    return f"[from the advertisement {advertised!r}]" if advertised else None


def _is_of(contact: Mapping[str, Any], sender: str | None, user_id: str | None) -> bool:
    return (sender is not None and phone(contact.get("wa_id")) == sender) or (
        user_id is not None and identifier(contact.get("user_id")) == user_id
    )


def _status(number: str | None, event: Mapping[str, Any]) -> WhatsAppStatus | None:
    message_id, status = identifier(event.get("id")), _STATUSES.get((identifier(event.get("status")) or "").lower())
    if not (number and message_id and status):
        return None
    faults = tuple(map(_fault, as_list(event.get("errors"))))
    recipient = event.get("recipient_id")
    origin = as_object(as_object(event.get("conversation")).get("origin")).get("type")
    return WhatsAppStatus(
        provider_message_id=message_id,
        status=status,
        at=moment(event.get("timestamp")),
        error=("; ".join(map(str, faults[:3])) or "Meta gave no reason") if status == "FAILED" else None,
        reference=identifier(event.get("biz_opaque_callback_data")),
        phone_number_id=number,
        recipient=phone(recipient) or identifier(event.get("recipient_user_id")) or identifier(recipient),
        origin=identifier(origin) or identifier(as_object(event.get("pricing")).get("category")),
        faults=faults,
    )


def _choice(number: str | None, event: Mapping[str, Any]) -> MarketingChoice | None:
    user_id = identifier(event.get("user_id"))
    sender = phone(event.get("wa_id")) or user_id
    wanted = {"stop": False, "resume": True}.get(identifier(event.get("value")) or "")
    if not number or not sender or wanted is None or event.get("category") != "marketing_messages":
        return None
    at, words = moment(event.get("timestamp")), line(event.get("detail"))
    return MarketingChoice(number, sender, wanted, at, user_id, words)


def _fault(event: object) -> CloudFault:
    error = as_object(event)
    code = read_code(error)
    hint = advice(code)
    return CloudFault(code, f"{describe(error)}; {hint}" if hint else describe(error))
