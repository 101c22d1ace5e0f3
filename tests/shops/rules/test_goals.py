"""Which purchase calls a message off."""

from __future__ import annotations

from typing import Any

import pytest

from shops.rules.payloads import context_of, payload
from tidings.features.shops.rules.contexts import normalize_event_context
from tidings.features.shops.rules.goals import is_same_customer, reaches_goal

CHECKOUT = context_of("checkouts_update")
SOMEBODY = {"id": 1, "email": "somebody@example.com"}


@pytest.mark.parametrize(
    ("changes", "reached"),
    [
        pytest.param({}, True, id="the same checkout and customer"),
        pytest.param({"customer": SOMEBODY, "email": None}, True, id="the same checkout, another customer"),
        pytest.param({"checkout_token": "other"}, True, id="another checkout of the same customer"),
        pytest.param({"checkout_token": None}, True, id="a draft order of the same customer"),
        pytest.param(
            {"checkout_token": "other", "customer": None, "email": "Mara.Okafor@Example.com"},
            True,
            id="by mail address",
        ),
        pytest.param(
            {"checkout_token": "other", "customer": SOMEBODY}, False, id="another customer with her address"
        ),
        pytest.param(
            {"checkout_token": "other", "customer": None, "email": None, "contact_email": None},
            False,
            id="nobody known",
        ),
        pytest.param({"checkout_token": None, "customer": SOMEBODY, "email": None}, False, id="somebody else"),
    ],
)
def test_an_order_reaches_the_goal_of_a_checkout(changes: dict[str, Any], reached: bool) -> None:
    order = context_of("orders_paid", **changes)
    assert reaches_goal(CHECKOUT, order) is reached


def test_two_drafts_without_a_token_are_not_the_same_checkout() -> None:
    draft = context_of("checkouts_update.draft_order", email=None)
    till = context_of("orders_create.till")
    assert not reaches_goal(draft, till)


def test_a_purchase_in_another_shop_reaches_no_goal() -> None:
    order = normalize_event_context("orders/paid", payload("orders_paid"), "other.myshopify.com")
    assert not reaches_goal(CHECKOUT, order)
    assert not is_same_customer(CHECKOUT, order)


def test_a_parcel_belongs_to_its_buyer_by_mail_address() -> None:
    parcel, order = context_of("fulfillments_create", email="MARA.Okafor@example.com"), context_of("orders_paid")
    assert is_same_customer(parcel, order)
    assert is_same_customer(order, parcel)
