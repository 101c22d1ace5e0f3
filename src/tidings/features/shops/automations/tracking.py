"""Tracking that comes after its parcel: an automation whose text tells of it is asked once more, for what is new."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.models import ShopMessage, ShopWebhookEvent
from tidings.features.shops.rules.purchases import Fulfillment

PARCELS, CHANGES = "fulfillments/create", "fulfillments/update"

FRESH = timedelta(days=3)
"""How long after a parcel was made up its tracking is news to somebody who was told nothing yet."""

_ARRIVED = ("delivered", "picked_up")


def is_asked_again(automation: ShopAutomation, topic: str) -> bool:
    """Whether a change of a parcel concerns an automation about parcels."""
    return topic == CHANGES and automation.trigger == PARCELS and "fulfillment.tracking" in automation.template


def is_fresh(parcel: Fulfillment, event: ShopWebhookEvent) -> bool:
    """Whether a parcel that nothing was told about is still on its way."""
    made = parcel.created_at
    return parcel.shipment_status not in _ARRIVED and made is not None and event.received_at - made <= FRESH


def has_told(message: ShopMessage, news: Sequence[str]) -> bool:
    """Whether a message tells, or has told, all of this tracking; one whose facts are gone has."""
    if message.context is None:
        return True
    told = message.context.get("fulfillment") or {}
    return set(news) <= {*(told.get("tracking_numbers") or ()), *(told.get("tracking_urls") or ())}


def key_of(base: str, news: Sequence[str]) -> str:
    """The key of the message that tells this tracking."""
    return f"{base[:250]}:tracking:{hashlib.sha256(' '.join(sorted(news)).encode()).hexdigest()[:24]}"


def only_news(facts: Mapping[str, Any], news: Sequence[str]) -> dict[str, Any]:
    """The facts of a parcel with its new tracking alone."""
    parcel = facts["fulfillment"]
    numbers, urls = parcel["tracking_numbers"], parcel["tracking_urls"]
    if len(numbers) == len(urls):
        urls = [url for number, url in zip(numbers, urls, strict=True) if number in news]
    numbers = [number for number in numbers if number in news]
    told = {
        "tracking_numbers": numbers,
        "tracking_urls": urls,
        "tracking_number": numbers[0] if numbers else None,
        "tracking_url": urls[0] if urls else None,
    }
    return {**facts, "fulfillment": {**parcel, **told}}
