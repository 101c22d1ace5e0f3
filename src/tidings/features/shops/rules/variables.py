"""The dotted names under which conditions and templates know an event's facts.

`FIELDS` has every topic's names for conditions, with their types; `names_for` those that a template may use.
Both describe what `variables` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tidings.features.shops.rules.contexts import TOPICS, EventContext, topic_of
from tidings.features.shops.rules.customers import CustomerDetails
from tidings.features.shops.rules.field_types import FieldType
from tidings.features.shops.rules.purchases import Fulfillment, LineItem, Purchase
from tidings.features.shops.rules.refunds import Refund, of_lines

_T, _N, _M, _B, _D, _L = (
    FieldType.TEXT, FieldType.NUMBER, FieldType.MONEY, FieldType.BOOLEAN, FieldType.DATE, FieldType.LIST
)  # fmt: skip

_CUSTOMER = {
    "id": _T, "first_name": _T, "last_name": _T, "email": _T, "phone": _T, "country": _T, "locale": _T, "tags": _L,
    "orders_count": _N, "total_spent": _M, "sms_consent": _T, "sms_consent_at": _D,
}  # fmt: skip
_PURCHASE = {
    "id": _T, "name": _T, "number": _N, "total_price": _M, "currency": _T, "presentment_total_price": _M,
    "presentment_currency": _T, "item_count": _N, "first_item": _T, "titles": _L, "skus": _L, "discount_codes": _L,
    "created_at": _D, "source_name": _T, "gateway": _T,
}  # fmt: skip
_ORDER = _PURCHASE | {
    "checkout_token": _T, "tags": _L, "cancelled_at": _D, "cancel_reason": _T, "financial_status": _T,
    "fulfillment_status": _T, "test": _B, "imported": _B, "order_status_url": _T,
}  # fmt: skip
_CHECKOUT = _PURCHASE | {"token": _T, "completed_at": _D, "abandoned_checkout_url": _T}
_OF_STORED_ORDER = ("name", "total_price", "currency", "source_name")
_PART_OF_ORDER = {
    name: _PURCHASE[name] for name in ("id", *_OF_STORED_ORDER, "item_count", "first_item", "titles", "skus")
}
_FULFILLMENT = {
    "id": _T, "status": _T, "shipment_status": _T, "tracking_company": _T, "tracking_number": _T, "tracking_url": _T,
    "tracking_numbers": _L, "tracking_urls": _L, "ships": _B,
}  # fmt: skip
_REFUND = {"id": _T, "amount": _M, "currency": _T, "item_count": _N, "first_item": _T, "titles": _L}
_LINE_ITEM = ("title", "quantity", "price", "sku")
_SHOP = ("id", "name", "locale", "currency")


def _roots(topic: str) -> dict[str, Mapping[str, FieldType]]:
    """What a topic's variables have in them, by their first name."""
    match topic.partition("/")[0]:
        case "orders":
            return {"customer": _CUSTOMER, "order": _ORDER}
        case "checkouts":
            return {"customer": _CUSTOMER, "checkout": _CHECKOUT}
        case "fulfillments":
            return {"customer": _CUSTOMER, "order": _PART_OF_ORDER, "fulfillment": _FULFILLMENT}
        case "refunds":
            return {"customer": _CUSTOMER, "order": _PART_OF_ORDER, "refund": _REFUND}
        case "customers" | "customers_marketing_consent":
            return {"customer": _CUSTOMER}
        case _:
            return {}


CUSTOMER_FIELDS: Mapping[str, FieldType] = MappingProxyType(
    {f"customer.{name}": kind for name, kind in _CUSTOMER.items()}
)
"""The fields of a customer, which every topic with a customer has."""

FIELDS: Mapping[str, Mapping[str, FieldType]] = MappingProxyType(
    {
        topic: MappingProxyType(
            {f"{root}.{name}": kind for root, names in _roots(topic).items() for name, kind in names.items()}
        )
        for topic in TOPICS
    }
)
"""For every topic the fields that conditions may ask for."""


@dataclass(frozen=True, slots=True)
class ShopVariables:
    """What a message says of its shop. `locale` (BCP 47) is how the shop writes amounts; `currency` its own one."""

    name: str
    locale: str = "en"
    currency: str | None = None


def names_for(topic: str) -> frozenset[str]:
    """The names that a template of this topic may use, as `Sandbox.check` takes them."""
    topic = topic_of(topic)
    lines = {f"{root}.line_items[].{name}" for root in ("order", "checkout") for name in _LINE_ITEM}
    known = {line for line in lines if line.partition(".")[0] in _roots(topic)}
    return frozenset({"currency", *FIELDS.get(topic, ()), *known, *(f"shop.{name}" for name in _SHOP)})


def variables(context: EventContext, shop: ShopVariables | None = None) -> dict[str, Any]:
    """The event's facts by name, for conditions and templates; what is not known is None.

    Amounts are decimals, times aware UTC datetimes. Without `shop`, its name is the first part of its domain.
    """
    shop = shop or ShopVariables(context.shop_id.partition(".")[0])
    roots = _roots(context.topic)
    purchase = context.purchase
    currency = (context.refund and context.refund.currency) or (purchase and purchase.currency) or shop.currency
    found: dict[str, Any] = {
        "shop": {"id": context.shop_id, "name": shop.name, "locale": shop.locale, "currency": shop.currency},
        "currency": currency,
    }
    if "customer" in roots:
        found["customer"] = _of_customer(context.customer)
    if "order" in roots:
        found["order"] = _of_purchase(context.order, roots["order"])
    if "checkout" in roots:
        found["checkout"] = _of_purchase(context.checkout, roots["checkout"])
    if "fulfillment" in roots:
        found["fulfillment"] = _of_fulfillment(context.fulfillment)
    if "refund" in roots:
        found["refund"] = _of_refund(context.refund)
    return found


def _of_customer(customer: CustomerDetails | None) -> dict[str, Any]:
    consent = customer.sms_consent if customer else None
    return {name: getattr(customer, name, None) for name in _CUSTOMER} | {
        "tags": list(customer.tags) if customer else [],
        "sms_consent": consent.state if consent else None,
        "sms_consent_at": consent.at if consent else None,
    }


def _of_purchase(purchase: Purchase | None, names: Mapping[str, FieldType]) -> dict[str, Any]:
    made = {
        **of_lines(_of_line(line) for line in (purchase.line_items if purchase else ())),
        "token": purchase.checkout_token if purchase else None,
        "discount_codes": list(purchase.discount_codes) if purchase else [],
        "tags": list(purchase.tags) if purchase else [],
    }
    return {name: made[name] if name in made else getattr(purchase, name, None) for name in (*names, "line_items")}


def _of_line(line: LineItem) -> dict[str, Any]:
    return {name: getattr(line, name) for name in (*_LINE_ITEM, "id", "ships")}


def _of_fulfillment(fulfillment: Fulfillment | None) -> dict[str, Any]:
    numbers = list(fulfillment.tracking_numbers) if fulfillment else []
    urls = list(fulfillment.tracking_urls) if fulfillment else []
    return {name: getattr(fulfillment, name, None) for name in _FULFILLMENT} | {
        "tracking_numbers": numbers,
        "tracking_urls": urls,
        "tracking_number": numbers[0] if numbers else None,
        "tracking_url": urls[0] if urls else None,
    }


def _of_refund(refund: Refund | None) -> dict[str, Any]:
    lines = refund.lines if refund else ()
    titles = [line.title for line in lines if line.title]
    return {name: getattr(refund, name, None) for name in _REFUND} | {
        "item_count": sum(line.quantity for line in lines) if lines else None,
        "first_item": titles[0] if titles else None,
        "titles": titles,
    }


def with_stored_order(facts: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """An event's facts with what is `stored` of its order, where the event does not tell it."""
    if not isinstance(facts.get("order"), Mapping):
        return facts
    known = {name: stored[name] for name in _OF_STORED_ORDER if name in facts["order"]}
    order = {name: known.get(name) if value is None else value for name, value in facts["order"].items()}
    return {**facts, "order": order, "currency": facts["currency"] or order.get("currency")}
