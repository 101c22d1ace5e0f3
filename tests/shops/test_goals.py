"""What an automation's message was to bring about calls it off when it happens by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shops.storefront import NOW, Storefront
from tidings.features.shops.automations.goals import GOALS
from tidings.messages.statuses import Reason, Status

MARA = "+18105550123"
HOUR = timedelta(hours=1)
CART = {"trigger": "checkouts/update", "delay_seconds": 3600, "goal_topic": "orders/paid", "restart": True}


async def test_an_order_that_is_paid_calls_the_cart_reminder_off(store: Storefront) -> None:
    await store.automation("cart", **CART)
    await store.told("checkouts_update")
    row = await store.message()
    assert (row.status, row.scheduled_time) == (Status.SCHEDULED, NOW + HOUR)
    [job] = await store.queues.find("delivery", [f"shop-message-{row.id}"])
    assert job is not None
    await store.told("orders_paid")
    row = await store.message()
    assert (row.status, row.status_reason) == (Status.CANCELLED, Reason.GOAL_REACHED)
    assert await store.queues.find("delivery", [f"shop-message-{row.id}"]) == [None]
    assert [(line.outcome, line.reason) for line in await store.lines(row.id)] == [("cancelled", "goal_reached")]


async def test_a_paid_checkout_never_gets_a_reminder_even_if_the_payment_is_heard_of_first(store: Storefront) -> None:
    await store.automation("cart", **CART)
    await store.told("orders_paid")
    event = await store.told("checkouts_update")
    assert event.evaluation["cart"]["result"] == "goal_reached"
    assert await store.messages() == []


async def test_a_payment_that_slips_in_before_the_text_is_made_is_seen_at_the_last_moment(store: Storefront) -> None:
    await store.automation("cart", **CART)
    await store.told("orders_create")
    await store.told("checkouts_update", updated_at="2026-11-20T14:35:00-05:00")
    row = await store.message()
    order = {"topic": "orders/updated", "financial_status": "paid", "updated_at": "2026-11-20T14:36:00-05:00"}
    await store.told("orders_create", **order)
    assert (await store.message()).status == Status.SCHEDULED, "an update is no orders/paid"
    store.clock.move(HOUR)
    assert "has happened already" in await store.deliver(row.id)
    assert (await store.message()).status_reason == Reason.GOAL_REACHED
    assert store.texts == []


async def test_somebody_elses_purchase_or_an_earlier_one_changes_nothing(store: Storefront) -> None:
    await store.automation("cart", **CART)
    await store.told("orders_paid.old_order", checkout_token="long-ago", updated_at="2026-11-01T10:00:00-05:00")
    await store.told("checkouts_update")
    other = {"id": 42, "first_name": "Ben", "email": "ben@example.com", "phone": "+12125550142"}
    nobody = {"email": None, "contact_email": None, "phone": None, "billing_address": None, "shipping_address": None}
    await store.told("orders_paid", id=43, checkout_token="bens", customer=other, **nobody)
    assert (await store.message()).status == Status.SCHEDULED


SOMEBODY = {"id": 1, "first_name": "Ben", "email": "ben@example.com", "phone": "+12125550142"}
NOBODY = dict.fromkeys(("customer", "email", "contact_email", "phone", "billing_address", "shipping_address"))
OTHER_CHECKOUT = {"checkout_token": "another-checkout"}

WHO_BOUGHT: list[tuple[str, dict[str, Any], bool]] = [
    ("the same checkout and customer", {}, True),
    ("the same checkout, a guest without a name", NOBODY, True),
    ("the same checkout, another customer", {**NOBODY, "customer": SOMEBODY}, True),
    ("another checkout of the same customer", OTHER_CHECKOUT, True),
    ("a draft order of the same customer", {"checkout_token": None}, True),
    ("by mail address", {**NOBODY, **OTHER_CHECKOUT, "email": "Mara.Okafor@Example.com"}, True),
    ("another account, with her mail address", {**OTHER_CHECKOUT, "customer": SOMEBODY}, False),
    ("nobody known", {**NOBODY, **OTHER_CHECKOUT}, False),
    ("somebody else", {**NOBODY, "checkout_token": None, "customer": SOMEBODY}, False),
]


async def test_a_purchase_counts_by_its_checkout_or_by_its_customer(store: Storefront) -> None:
    for number, (who, bought, is_reached) in enumerate(WHO_BOUGHT):
        domain = f"shop-{number}.myshopify.com"
        await store.shop(domain)
        await store.automation("cart", **CART, shop=domain)
        await store.told("checkouts_update", domain=domain)
        await store.told("orders_paid", domain=domain, **bought)
        [message] = await store.shops.messages.list(domain)
        assert (message.status_reason == Reason.GOAL_REACHED) is is_reached, who


async def test_every_goal_calls_a_message_off_whether_it_is_heard_of_before_or_afterwards(store: Storefront) -> None:
    for number, goal in enumerate(GOALS):
        name = goal.replace("/", "_")
        after, before = f"after-{number}.myshopify.com", f"before-{number}.myshopify.com"
        for domain in (after, before):
            await store.shop(domain)
            await store.automation("cart", **{**CART, "goal_topic": goal}, shop=domain)
            if goal != "orders/create":  # a parcel names its order, and that the checkout
                await store.told("orders_create", domain=domain)
        await store.told("checkouts_update", domain=after)
        [message] = await store.shops.messages.list(after)
        assert message.status == Status.SCHEDULED, goal
        await store.told(name, domain=after)
        [message] = await store.shops.messages.list(after)
        assert (message.status, message.status_reason) == (Status.CANCELLED, Reason.GOAL_REACHED), goal
        await store.told(name, domain=before)
        event = await store.told("checkouts_update", domain=before)
        assert event.evaluation["cart"]["result"] == "goal_reached", goal


async def test_a_purchase_in_another_shop_or_without_a_token_reaches_no_goal(store: Storefront) -> None:
    await store.automation("cart", **CART)
    await store.told("checkouts_update")
    await store.shop("other.myshopify.com")
    await store.told("orders_paid", domain="other.myshopify.com")
    assert (await store.message()).status == Status.SCHEDULED
    draft = {"token": None, "cart_token": None, "id": 7, **NOBODY, "phone": "+12125550177"}
    await store.automation("cart", **{**CART, "goal_topic": "orders/create"})
    await store.told("checkouts_update", **draft)
    await store.told("orders_create.till")
    assert {row.status for row in await store.messages()} == {Status.SCHEDULED}
