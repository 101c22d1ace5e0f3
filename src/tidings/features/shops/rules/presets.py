"""Ready automations, as data: what starts one, who gets it, when and in which words.

The texts are GSM-7 and, with usual values, one segment. Promotional ones say how to stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tidings.messages.gate.terms import Purpose


@dataclass(frozen=True, slots=True)
class Preset:
    """An automation to start from.

    `rules` is a document of `predicates`, `template` one for `shop_templates`. A later event of `goal_topic` by
    the same buyer (see `automations/goals`) calls the message off. Where `restarts`, another one of `trigger`
    replaces it: it is put off to `delay_seconds` after that, or called off when the rules do not hold any more, as
    for a checkout that has been completed.
    """

    key: str
    description: str
    trigger: str
    purpose: Purpose
    rules: Mapping[str, Any]
    template: str
    delay_seconds: int = 0
    goal_topic: str | None = None
    restarts: bool = False


_HOUR = 3_600
_DAY = 24 * _HOUR

_GREETING = "{{ shop.name | truncate: 25 }}: "
_BY_NAME = "{% if customer.first_name %}, {{ customer.first_name | truncate: 20 }}{% endif %}"
_ORDER = "your order{% if order.name %} {{ order.name }}{% endif %}"
_STOP = " STOP to end"
_REAL_ORDER: dict[str, Any] = {"field": "order.test", "op": "is_false"}
_NOT_CANCELLED: dict[str, Any] = {"field": "order.cancelled_at", "op": "is_missing"}
_NOT_IMPORTED: dict[str, Any] = {"field": "order.imported", "op": "is_false"}
_FROM_AFAR: dict[str, Any] = {"field": "order.source_name", "op": "not_equals", "value": "pos"}
_SENT: dict[str, Any] = {"field": "fulfillment.status", "op": "not_in", "value": ["cancelled", "error", "failure"]}
_TRAVELS: dict[str, Any] = {"field": "fulfillment.ships", "op": "is_true"}
_TRACKED: dict[str, Any] = {"field": "fulfillment.tracking_number", "op": "is_present"}

_ALL = (
    Preset(
        key="abandoned_checkout",
        description="One hour after somebody left a checkout, unless they have ordered meanwhile, paid or not.",
        trigger="checkouts/update",
        purpose=Purpose.PROMOTIONAL,
        rules={
            "all": [
                {"field": "checkout.completed_at", "op": "is_missing"},
                {"field": "checkout.abandoned_checkout_url", "op": "is_present"},
                {"field": "checkout.item_count", "op": "at_least", "value": 1},
            ]
        },
        template=f"{_GREETING}your cart waits: {{{{ checkout.abandoned_checkout_url }}}}{_STOP}",
        delay_seconds=_HOUR,
        goal_topic="orders/create",
        restarts=True,
    ),
    Preset(
        key="order_confirmation",
        description="At once when an order is placed, paid or not; not at the till, nor for imported ones.",
        trigger="orders/create",
        purpose=Purpose.TRANSACTIONAL,
        rules={"all": [_REAL_ORDER, _NOT_CANCELLED, _NOT_IMPORTED, _FROM_AFAR]},
        template=(
            f"{_GREETING}thank you{_BY_NAME}! We have {_ORDER}"
            "{% if order.presentment_total_price %} for"
            " {{ order.presentment_total_price | money: order.presentment_currency }}{% endif %}."
        ),
    ),
    Preset(
        key="shipping_update",
        description=(
            "At once when a parcel is on its way, with its tracking address; once more when that comes later. Gift "
            "cards, downloads, and what was handed over at the till are no parcels."
        ),
        trigger="fulfillments/create",
        purpose=Purpose.TRANSACTIONAL,
        rules={"all": [_SENT, _TRAVELS, {"any": [_FROM_AFAR, _TRACKED]}]},
        template=(
            f"{_GREETING}{_ORDER} is on its way"
            "{% if fulfillment.tracking_company %} with {{ fulfillment.tracking_company | truncate: 20 }}{% endif %}."
            "{% if fulfillment.tracking_url %} Track it: {{ fulfillment.tracking_url }}"
            "{% elsif fulfillment.tracking_number %} Tracking number: {{ fulfillment.tracking_number }}{% endif %}"
        ),
    ),
    Preset(
        key="review_request",
        description="Seven days after the last parcel left, a question for the buyer's opinion of what they kept.",
        trigger="fulfillments/create",
        purpose=Purpose.PROMOTIONAL,
        rules={"all": [_SENT, _TRAVELS]},
        template=(
            f"{_GREETING}how do you like "
            "{% if order.first_item %}{{ order.first_item | truncate: 40, '...' }}{% else %}your order{% endif %}? "
            f"Reply 1 (bad) to 5 (great). We read every answer.{_STOP}"
        ),
        delay_seconds=7 * _DAY,
        restarts=True,
    ),
    Preset(
        key="win_back",
        description="Sixty days after somebody's last order; every new order starts the sixty days again.",
        trigger="orders/create",
        purpose=Purpose.PROMOTIONAL,
        rules={"all": [_REAL_ORDER, _NOT_CANCELLED, _NOT_IMPORTED]},
        template=(
            f"{_GREETING}we miss you{_BY_NAME}! It has been a while since your last order. "
            f"Come and see what is new.{_STOP}"
        ),
        delay_seconds=60 * _DAY,
        restarts=True,
    ),
    Preset(
        key="refund_notice",
        description="At once when money goes back, with the amount that the buyer sees on their account.",
        trigger="refunds/create",
        purpose=Purpose.TRANSACTIONAL,
        rules={"field": "refund.amount", "op": "greater_than", "value": 0},
        template=(
            f"{_GREETING}we have refunded {{{{ refund.amount | money: refund.currency }}}}"
            "{% if order.name %} for your order {{ order.name }}{% endif %}."
        ),
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.key: preset for preset in _ALL})
"""The ready automations by key."""
