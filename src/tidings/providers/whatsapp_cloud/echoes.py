"""What the business itself wrote in the WhatsApp Business app, on a number that the Cloud API uses, too.

Meta calls it coexistence, and posts a copy of every such message (webhook reference `smb_message_echoes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidings.providers.whatsapp_cloud.contents import content_of
from tidings.providers.whatsapp_fields import identifier, moment, phone


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoedWhatsApp:
    """One message of the business's to somebody; `recipient` and `user_id` are as an incoming message's sender.

    `kind` and `text` are as in an incoming message. For edit and revoke `about` is the wamid of the message that was
    changed or deleted. `sent_at` is UTC.
    """

    phone_number_id: str
    recipient: str
    provider_message_id: str
    kind: str
    text: str
    sent_at: datetime | None = None
    user_id: str | None = None
    about: str | None = None
    group_id: str | None = None


def read_echo(number: str | None, event: Mapping[str, Any]) -> EchoedWhatsApp | None:
    """One element of `message_echoes`; None when it cannot be read."""
    message_id, kind = identifier(event.get("id")), identifier(event.get("type"))
    recipient, user_id = phone(event.get("to")), identifier(event.get("to_user_id"))
    content = content_of(kind, event) if kind else None
    if not (number and message_id and kind and content and (recipient or user_id)):
        return None
    return EchoedWhatsApp(
        phone_number_id=number,
        recipient=recipient or user_id or "",
        provider_message_id=message_id,
        kind=kind,
        text=content.text,
        sent_at=moment(event.get("timestamp")),
        user_id=user_id,
        about=content.about,
        group_id=identifier(event.get("group_id")),
    )
