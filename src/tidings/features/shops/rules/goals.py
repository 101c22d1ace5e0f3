"""When an automation has reached its goal, or starts again: whether two events are about the same buyer."""

from __future__ import annotations

from tidings.features.shops.rules.contexts import EventContext


def reaches_goal(started: EventContext, later: EventContext) -> bool:
    """Whether `later` is the purchase that a message about `started` would ask for.

    It is when both have the same checkout token or the same customer, in the same shop.
    """
    if started.shop_id != later.shop_id:
        return False
    begun, bought = started.purchase, later.purchase
    if begun and bought and begun.checkout_token and begun.checkout_token == bought.checkout_token:
        return True
    return is_same_customer(started, later)


def is_same_customer(one: EventContext, other: EventContext) -> bool:
    """By id where both have one, else by mail address."""
    first, second = one.customer, other.customer
    if first is None or second is None or one.shop_id != other.shop_id:
        return False
    if first.id and second.id:
        return first.id == second.id
    return bool(first.email and second.email and first.email.casefold() == second.email.casefold())
