"""Who an event names, and whether a stored payload is about the same person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from tidings.features.shops.models import Shop
from tidings.features.shops.rules.contact_details import PickedPhone, pick_phone
from tidings.features.shops.rules.contexts import normalize_event_context
from tidings.features.shops.rules.customers import CustomerDetails


def pick_for(told: CustomerDetails, shop: Shop) -> PickedPhone:
    """The number of a customer, read where they are or where the shop is."""
    return pick_phone(told.phones, (told.country, shop.region))


def phone_of(told: CustomerDetails, shop: Shop) -> str | None:
    """The number of a customer as E.164."""
    return pick_for(told, shop).number


@dataclass(frozen=True, slots=True)
class PersonKeys:
    """Everything by which one person can be recognised in a shop's payloads."""

    keys: Set[str]
    emails: Set[str]
    phones: Set[str]
    orders: Set[str]

    def is_in(self, topic: str, raw: Mapping[str, Any], shop: Shop) -> bool:
        """Whether a payload is about the person, or mentions their mail address or number anywhere."""
        context = normalize_event_context(topic, raw, shop.domain)
        told = context.customer
        if told is not None and (
            told.id in self.keys
            or (told.email or "").lower() in self.emails
            or (told.id is None and phone_of(told, shop) in self.phones)
        ):
            return True
        if context.order is not None and context.order.id in self.orders:
            return True
        return self.is_mentioned_in(raw)

    def is_mentioned_in(self, data: Any) -> bool:
        """Whether JSON holds the person's mail address or number as they are stored."""
        text = json.dumps(data, ensure_ascii=False, default=str).lower()
        return any(mark in text for mark in (*self.emails, *self.phones))
