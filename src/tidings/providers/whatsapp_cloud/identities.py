"""Who is known to WhatsApp by another phone number or user ID from now on (webhook reference `system messages`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidings.providers.whatsapp_fields import as_object, identifier, phone


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """Somebody changed the phone number, and with it the user ID. Numbers are E.164.

    `former` are the number and the ID until now, as far as Meta names them; `phone` and `user_id` are the new ones.
    """

    phone_number_id: str
    former: tuple[str, ...]
    phone: str | None
    user_id: str | None


def read_identity(number: str | None, event: Mapping[str, Any]) -> NewIdentity | None:
    """The change that a system message tells of; None when it tells of none."""
    system = as_object(event.get("system"))
    if event.get("type") != "system" or system.get("type") not in ("user_changed_number", "user_changed_user_id"):
        return None
    found, user_id = phone(system.get("wa_id")), identifier(system.get("user_id"))
    old_phone = phone(event.get("from"))
    old_id = identifier(system.get("previous_user_id")) or identifier(event.get("from_user_id"))
    former = tuple(one for one in (old_phone, old_id) if one and one not in (found, user_id))
    if not number or not former or not (found or user_id):
        return None
    return NewIdentity(number, former, found, user_id)
