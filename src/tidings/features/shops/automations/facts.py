"""What an automation knows of an event: what the event tells, and what is known of its customer and its order."""

from __future__ import annotations

from typing import Any

from tidings.features.shops.customers.orders import as_facts
from tidings.features.shops.models import Shop, ShopCustomer, ShopOrder
from tidings.features.shops.rules import variables as names
from tidings.features.shops.rules.contexts import EventContext

_OF_CUSTOMER = (
    *("first_name", "last_name", "email", "phone", "country", "locale", "tags", "orders_count", "total_spent"),
    *("sms_consent", "sms_consent_at"),
)


def facts_of(
    context: EventContext, shop: Shop, customer: ShopCustomer | None, order: ShopOrder | None = None
) -> dict[str, Any]:
    """The variables of an event; what it does not tell of customer and order is filled in from their rows."""
    spoken = names.ShopVariables(shop.name, shop.locale, shop.currency)
    facts = names.variables(context, spoken)
    if order is not None:
        facts = names.with_stored_order(facts, as_facts(order))
    if customer is not None and "customer" in facts:
        known = {name: getattr(customer, name) for name in _OF_CUSTOMER}
        facts["customer"] = {
            name: known.get(name) if value in (None, []) else value for name, value in facts["customer"].items()
        }
        facts["customer"]["phone"] = customer.phone or facts["customer"]["phone"]
    return facts
