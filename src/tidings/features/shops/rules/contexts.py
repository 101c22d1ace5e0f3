"""A shop's webhook as facts: every topic's payload in one form, and what it does not tell.

The payloads are those of Shopify's webhook topics (https://shopify.dev/docs/api/webhooks). A payload may lack
anything; it is read as far as it goes, and `missing` says in sentences what was looked for in vain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tidings.errors import InvalidInput
from tidings.features.shops.rules import reading
from tidings.features.shops.rules.customers import CustomerDetails, read_bare_customer, read_customer
from tidings.features.shops.rules.purchases import (
    Fulfillment,
    Purchase,
    read_checkout,
    read_deleted,
    read_fulfilled_order,
    read_fulfillment,
    read_order,
    read_refunded_order,
)
from tidings.features.shops.rules.refunds import Refund, read_refund

CONSENT_TOPIC = "customers_marketing_consent/update"
_OTHER_NAMES = {"customers/marketing_consent_update": CONSENT_TOPIC}


@dataclass(frozen=True, slots=True)
class EventContext:
    """What happened in a shop. Times are UTC; `order_ids` are the orders that a data request or erasure names.

    `updated_at` is what payloads of one object are put in order by.
    """

    topic: str
    shop_id: str
    object_id: str | None
    occurred_at: datetime | None
    updated_at: datetime | None = None
    customer: CustomerDetails | None = None
    order: Purchase | None = None
    checkout: Purchase | None = None
    fulfillment: Fulfillment | None = None
    refund: Refund | None = None
    order_ids: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def purchase(self) -> Purchase | None:
        """The order, or else the checkout."""
        return self.order or self.checkout


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a topic is read: its noun in sentences, the dotted keys of its time and its id, and the readers."""

    about: str
    times: tuple[str, ...]
    customer: Callable[[Mapping[str, Any]], CustomerDetails | None] | None = None
    order: Callable[[Mapping[str, Any]], Purchase] | None = None
    checkout: Callable[[Mapping[str, Any]], Purchase] | None = None
    fulfillment: Callable[[Mapping[str, Any]], Fulfillment] | None = None
    refund: Callable[[Mapping[str, Any]], Refund] | None = None
    id: str = "id"
    needs_phone: bool = True


def _order(*times: str) -> _Reading:
    times = tuple(dict.fromkeys((*times, "updated_at", "created_at")))
    return _Reading("order", times, read_customer, order=read_order)


_CHECKOUT = _Reading("checkout", ("updated_at", "created_at"), read_customer, checkout=read_checkout)
_FULFILLMENT = _Reading(
    "fulfillment",
    ("updated_at", "created_at"),
    read_customer,
    order=read_fulfilled_order,
    fulfillment=read_fulfillment,
)
_REFUND = _Reading("refund", ("processed_at", "created_at"), order=read_refunded_order, refund=read_refund)
_CUSTOMER = _Reading("customer", ("updated_at", "created_at"), read_bare_customer)
_PRIVACY = _Reading("request", (), read_customer, id="customer.id", needs_phone=False)

_TOPICS: dict[str, _Reading] = {
    "orders/create": _order("created_at"),
    "orders/paid": _order(),
    "orders/updated": _order(),
    "orders/cancelled": _order("cancelled_at"),
    "orders/delete": _Reading("order", (), order=read_deleted, needs_phone=False),
    "checkouts/create": _CHECKOUT,
    "checkouts/update": _CHECKOUT,
    "checkouts/delete": _Reading("checkout", (), checkout=read_deleted, needs_phone=False),
    "customers/create": _CUSTOMER,
    "customers/update": _CUSTOMER,
    "customers/delete": _Reading("customer", (), read_bare_customer, needs_phone=False),
    CONSENT_TOPIC: _Reading("customer", ("sms_marketing_consent.consent_updated_at",), read_bare_customer),
    "customers/data_request": _PRIVACY,
    "customers/redact": _PRIVACY,
    "shop/redact": _Reading("shop", (), id="shop_id", needs_phone=False),
    "fulfillments/create": _FULFILLMENT,
    "fulfillments/update": _FULFILLMENT,
    "refunds/create": _REFUND,
    "app/uninstalled": _Reading("shop", (), needs_phone=False),
}
_UNKNOWN = _Reading("payload", ("updated_at", "created_at"), needs_phone=False)

TOPICS = tuple(_TOPICS)
"""The topics that are understood."""

DELETIONS = ("orders/delete", "checkouts/delete")
_SPELLINGS = {re.sub(r"[\W_]+", "", topic): topic for topic in (*TOPICS, *_OTHER_NAMES)}


def topic_of(name: str) -> str:
    """A topic under its usual name: GraphQL writes ORDERS_CREATE, and that of SMS consent has two."""
    name = _SPELLINGS.get(re.sub(r"[\W_]+", "", name).lower(), name.strip())
    return _OTHER_NAMES.get(name, name)


def normalize_event_context(topic: str, raw: Mapping[str, Any], shop_id: str) -> EventContext:
    """The facts of one webhook. `shop_id` is the shop's domain, blossom.myshopify.com.

    A topic that is not in TOPICS gives its object's id and time and nothing else. Raises InvalidInput when the
    payload is not a JSON object, and never otherwise.
    """
    if not isinstance(raw, Mapping):
        raise InvalidInput("raw", "must be a JSON object, as the shop sends it")
    topic = topic_of(topic)
    how = _TOPICS.get(topic, _UNKNOWN)
    context = EventContext(
        topic=topic,
        shop_id=shop_id,
        object_id=_object_id(raw, how.id, ("token",) if how is _CHECKOUT else ()),
        occurred_at=reading.first(*(reading.moment(_found(raw, key)) for key in how.times)),
        updated_at=reading.moment(raw.get("updated_at")),
        customer=how.customer(raw) if how.customer else None,
        order=how.order(raw) if how.order else None,
        checkout=how.checkout(raw) if how.checkout else None,
        fulfillment=how.fulfillment(raw) if how.fulfillment else None,
        refund=how.refund(raw) if how.refund else None,
        order_ids=_order_ids(raw) if how is _PRIVACY else (),
    )
    return replace(context, missing=tuple(_missing(context, how)))


def _object_id(raw: Mapping[str, Any], key: str, also: tuple[str, ...]) -> str | None:
    keys = (key, f"{key.removesuffix('id')}admin_graphql_api_id", *also)
    found: str | None = reading.first(*(reading.identifier(_found(raw, each)) for each in keys))
    return found


def _found(raw: Mapping[str, Any], dotted: str) -> Any:
    *above, key = dotted.split(".")
    for name in above:
        raw = reading.mapping(raw.get(name))
    return raw.get(key)


def _order_ids(raw: Mapping[str, Any]) -> tuple[str, ...]:
    ids = reading.first(raw.get("orders_requested"), raw.get("orders_to_redact"))
    found = (reading.identifier(each) for each in ids) if isinstance(ids, list) else ()
    return tuple(each for each in found if each is not None)


def _missing(context: EventContext, how: _Reading) -> Iterator[str]:
    if context.topic not in _TOPICS:
        yield f"no facts: the topic {context.topic[:80]} is not one that is understood"
    if context.object_id is None:
        yield f"no id: the {how.about} has none"
    if how.times and context.occurred_at is None:
        yield f"no time: there is no usable {' or '.join(how.times)}"
    if how.customer or how.refund:
        yield from _missing_of_person(context, how)
    if context.fulfillment:
        yield from _missing_of_fulfillment(context.fulfillment)
    elif context.refund:
        if context.refund.amount is None:
            yield "no amount: the refund names no successful transaction"
    elif context.purchase and context.topic not in DELETIONS:
        yield from _missing_of_purchase(context.purchase, how)


def _missing_of_person(context: EventContext, how: _Reading) -> Iterator[str]:
    customer = context.customer
    if how.refund:
        return  # it names only its order, which knows the rest
    if customer is None:
        yield f"no customer: the {how.about} names nobody"
        return
    if customer.id is None:
        yield f"no customer id: the {how.about} has no customer with an id, as of a guest"
    if not how.needs_phone:
        return
    if customer.phone is None:
        yield {
            "customer": "no phone: neither the customer nor an address has one",
            "fulfillment": "no phone: neither the fulfillment nor its destination has one",
        }.get(how.about, f"no phone: neither the {how.about}, its customer nor its addresses have one")
    if customer.sms_consent is None:
        yield f"no SMS consent: the payload does not tell it; {CONSENT_TOPIC} does"


def _missing_of_purchase(purchase: Purchase, how: _Reading) -> Iterator[str]:
    if purchase.total_price is None:
        yield "no total price: total_price is no amount"
    if purchase.currency is None:
        yield "no currency: currency is no three-letter code"
    if purchase.checkout_token is None:
        yield (
            "no checkout token: a checkout of a draft order has none"
            if how.checkout
            else "no checkout token: draft orders and those of a till have none"
        )
    if how.checkout and purchase.abandoned_checkout_url is None:
        yield "no abandoned_checkout_url: the checkout has no address to come back to"


def _missing_of_fulfillment(fulfillment: Fulfillment) -> Iterator[str]:
    if not fulfillment.tracking_numbers:
        yield "no tracking number: the fulfillment has none, or none yet"
    if not fulfillment.tracking_urls:
        yield "no tracking url: the fulfillment has none, or its carrier is not known to the shop"
