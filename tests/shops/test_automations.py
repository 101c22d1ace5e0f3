"""Automations from the event to the text that leaves: rules, delays and restarts."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from shops.rules.payloads import SHOP, payload
from shops.storefront import NOW, Storefront
from tidings.features.shops.models import ShopMessage
from tidings.messages.statuses import Reason, Status

MARA = "+18105550123"
HOUR = timedelta(hours=1)
CART = {"trigger": "checkouts/update", "delay_seconds": 3600, "goal_topic": "orders/paid", "restart": True}


async def test_an_order_is_confirmed_at_once_and_the_row_says_what_left_and_what_it_cost(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "order_confirmation")
    event = await store.told("orders_create")
    row = await store.message()
    text = "Blossom Soaps: thank you, Mara! We have your order #1042 for $64.89."
    assert store.texts == [(MARA, text)]
    assert (row.status, row.text, row.segments, row.price, row.sent_at) == ("sent", text, 1, "0.0079", NOW)
    assert (row.purpose, row.customer_id, row.recipient) == ("transactional", event.customer_id, MARA)
    assert event.evaluation["order_confirmation"] == {"result": "scheduled", "message": row.id, "at": NOW.isoformat()}
    [line] = await store.lines(row.id)
    assert (line.outcome, line.provider, line.contact_id) == ("sent", "provider", row.contractor_id)


async def test_rules_that_do_not_hold_are_explained_with_the_event(store: Storefront) -> None:
    await store.automation(rules={"field": "order.total_price", "op": "at_least", "value": 100})
    event = await store.told("orders_create")
    assert event.evaluation["hello"] == {
        "result": "rules_not_met",
        "why": ["order.total_price is 64.89, not at least 100"],
    }
    assert await store.messages() == []


async def test_rules_know_of_the_customer_what_earlier_events_told(store: Storefront) -> None:
    await store.told("customers_update.before_2025", tags="vip", phone=MARA)
    await store.automation(rules={"field": "customer.tags", "op": "contains", "value": "vip"})
    bare = {"id": payload("orders_create")["customer"]["id"]}
    event = await store.told("orders_create", customer=bare)
    assert event.evaluation["hello"]["result"] == "scheduled"


async def test_a_promotion_waits_for_consent_and_says_so_when_there_is_none(store: Storefront) -> None:
    await store.automation(purpose="promotional", trigger="checkouts/update")
    await store.told("checkouts_update")
    row = await store.message()
    assert (row.status, row.status_reason) == (Status.SKIPPED, Reason.NO_CONSENT)
    await store.told("checkouts_update.opted_in", token="another", id=7)
    assert [row.status for row in await store.messages()] == ["skipped", "sent"]
    assert len(store.texts) == 1


async def test_another_look_at_the_cart_puts_the_reminder_off_and_an_older_one_does_not(store: Storefront) -> None:
    await store.automation("cart", **CART, template="{{ checkout.first_item }} waits")
    await store.told("checkouts_update")
    store.clock.move(timedelta(minutes=30))
    lines = [{"title": "Lavender soap", "quantity": 1, "price": "5.00"}]
    event = await store.told("checkouts_update", updated_at="2026-11-20T15:20:00-05:00", line_items=lines)
    assert event.evaluation["cart"]["result"] == "put_off"
    assert (await store.message()).scheduled_time == NOW + timedelta(minutes=30) + HOUR
    late = await store.told("checkouts_update", updated_at="2026-11-20T15:00:00-05:00")
    assert late.evaluation["cart"]["result"] == "newer_counted"
    store.clock.move(HOUR)
    row = await store.message()
    await store.deliver(row.id)
    assert store.texts == [(MARA, "Lavender soap waits")]
    assert (await store.told("checkouts_update", updated_at="2026-11-20T16:25:00-05:00")).evaluation["cart"] == {
        "result": "had_already",
        "message": row.id,
    }


async def test_a_checkout_that_was_completed_calls_its_reminder_off_and_reopened_brings_it_back(
    store: Storefront,
) -> None:
    rules = {"field": "checkout.completed_at", "op": "is_missing"}
    await store.automation("cart", **{**CART, "goal_topic": None}, rules=rules)
    await store.told("checkouts_update")
    await store.told(
        "checkouts_update", completed_at="2026-11-20T14:20:00-05:00", updated_at="2026-11-20T14:20:00-05:00"
    )
    assert (await store.message()).status_reason == Reason.RULES_NOT_MET
    await store.told("checkouts_update", updated_at="2026-11-20T14:21:00-05:00")
    assert (await store.message()).status == Status.SCHEDULED


async def test_every_new_order_starts_the_sixty_days_of_win_back_again(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "win_back")
    await store.told("orders_create")
    store.clock.move(timedelta(days=10))
    await store.told("orders_create", id=99, updated_at="2026-11-30T14:00:00-05:00")
    row = await store.message()
    assert row.scheduled_time == NOW + timedelta(days=70)
    await store.told("orders_create", id=100, test=True)
    assert (await store.message()).status == Status.SCHEDULED, "a test order is no order"


async def test_nothing_leaves_for_a_shop_that_has_uninstalled_and_its_late_webhooks_are_ignored(
    store: Storefront,
) -> None:
    await store.automation("cart", **CART)
    await store.told("checkouts_update")
    async with store.work.begin() as unit:
        (await unit.session.scalars(select(ShopMessage))).one().status = Status.SENDING  # a worker has just taken it
    await store.told("app_uninstalled")
    response = await store.tell("orders_create")
    assert response.json()["ignored"] == "the shop has uninstalled the app"
    async with store.work.begin() as unit:
        (await unit.session.scalars(select(ShopMessage))).one().status = Status.SCHEDULED
    store.clock.move(HOUR)
    assert "uninstalled" in await store.deliver((await store.message()).id)
    assert store.texts == []
    shop, key = await store.shops.accounts.create({"domain": SHOP, "name": "Back", "webhook_secret": "a new secret"})
    assert (shop.uninstalled_at, shop.name) == (None, "Back")
    assert key.startswith("tds_")


async def test_a_message_without_a_text_for_its_recipient_fails_with_the_reason(store: Storefront) -> None:
    await store.automation(template="{% if customer.last_name == 'Nobody' %}Hi{% endif %}")
    await store.told("orders_create")
    row = await store.message()
    assert (row.status, row.error_message) == (Status.FAILED, "the template gives no text for this recipient")


async def test_what_waits_follows_a_customer_to_their_new_number(store: Storefront) -> None:
    await store.automation("cart", **{**CART, "goal_topic": None})
    await store.told("checkouts_update")
    moved = {"phone": "+12125550177", "updated_at": "2026-11-20T14:50:00-05:00"}
    await store.told("customers_update", **moved)
    row = await store.message()
    assert row.recipient == "+12125550177"
    assert row.contractor_id == (await store.customer()).contractor_id
