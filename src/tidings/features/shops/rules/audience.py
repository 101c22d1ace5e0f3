"""What segments and campaigns know about a customer: fields for conditions, variables for texts.

A segment may ask for the customer's own fields and for those of their orders. A campaign's text may use the
customer's fields and the shop's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tidings.features.shops.rules import reading
from tidings.features.shops.rules.field_types import FieldType
from tidings.features.shops.rules.refunds import refunded
from tidings.features.shops.rules.variables import CUSTOMER_FIELDS, names_for

_OWN: Mapping[str, FieldType] = {
    "first_order_at": FieldType.DATE,
    "last_order_at": FieldType.DATE,
}
_ORDERS: Mapping[str, FieldType] = {
    "count": FieldType.NUMBER,
    "paid_count": FieldType.NUMBER,
    "cancelled_count": FieldType.NUMBER,
    "total": FieldType.MONEY,
    "average": FieldType.MONEY,
    "highest": FieldType.MONEY,
    "first_at": FieldType.DATE,
    "last_at": FieldType.DATE,
    "titles": FieldType.LIST,
}

_COLUMNS = (
    *("first_name", "last_name", "email", "phone", "country", "locale", "orders_count", "sms_consent"),
    *("sms_consent_at", "first_order_at", "last_order_at"),
)
"""What is kept of a customer as a segment and a text want it."""

SEGMENT_FIELDS: Mapping[str, FieldType] = MappingProxyType(
    {
        **CUSTOMER_FIELDS,
        **{f"customer.{name}": kind for name, kind in _OWN.items()},
        "customer.created_at": FieldType.DATE,
        **{f"orders.{name}": kind for name, kind in _ORDERS.items()},
    }
)
"""The fields that a segment's conditions may ask for. Cancelled orders count in `orders.cancelled_count` alone."""

CAMPAIGN_NAMES = names_for("customers/update") | {f"customer.{name}" for name in _OWN}
"""The names that a campaign's template may use."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One order of a customer, as far as segments look at it. `total` is without what went back."""

    placed_at: datetime | None
    paid: bool
    cancelled: bool
    total: Decimal | None
    titles: tuple[str, ...]


def customer_facts(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A customer's fields by name, from the columns of `shop_customers` in `row`, whose names begin with `prefix`."""
    return {
        "id": row[f"{prefix}customer_key"],
        **{name: row[f"{prefix}{name}"] for name in _COLUMNS},
        "tags": list(row[f"{prefix}tags"] or ()),
        "total_spent": reading.amount(row[f"{prefix}total_spent"]),
    }


def net_total(total: str | None, refunds: Mapping[str, Any] | None) -> Decimal | None:
    """What an order comes to without its refunds."""
    amount = reading.amount(total)
    return None if amount is None else max(amount - refunded(refunds), Decimal())


def order_facts(orders: list[OrderFacts]) -> dict[str, Any]:
    """What all orders of one customer come to."""
    valid = [order for order in orders if not order.cancelled]
    totals = [order.total for order in valid if order.total is not None]
    moments = [order.placed_at for order in valid if order.placed_at is not None]
    total = sum(totals, Decimal())
    return {
        "count": len(valid),
        "paid_count": sum(order.paid for order in valid),
        "cancelled_count": len(orders) - len(valid),
        "total": total,
        "average": total / len(totals) if totals else None,
        "highest": max(totals, default=None),
        "first_at": min(moments, default=None),
        "last_at": max(moments, default=None),
        "titles": list(dict.fromkeys(title for order in valid for title in order.titles)),
    }


def campaign_variables(row: Mapping[str, Any]) -> dict[str, Any]:
    """A campaign's variables for one recipient.

    `row` has the customer's columns as `customer_…` (`customer_first_name`), and of the shop `domain`, `shop_name`,
    `shop_locale` and `currency`.
    """
    return {
        "shop": {
            "id": row["domain"],
            "name": row["shop_name"],
            "locale": row["shop_locale"],
            "currency": row["currency"],
        },
        "currency": row["currency"],
        "customer": customer_facts(row, "customer_"),
    }
