"""Automations from the event to the text that leaves: rules, delays, goals, restarts, and everything told at save."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from shops.rules.payloads import SHOP, payload
from shops.storefront import NOW, Storefront
from tidings.errors import InvalidInput, NotFound
from tidings.features.shops.automations.goals import GOALS
from tidings.features.shops.models import ShopMessage
from tidings.features.shops.rules.presets import PRESETS
from tidings.messages.statuses import Reason, Status

MARA = "+18105550123"
HOUR = timedelta(hours=1)
CART = {"trigger": "checkouts/update", "delay_seconds": 3600, "goal_topic": "orders/paid", "restart": True}


async def test_an_order_is_confirmed_at_once_and_the_row_says_what_left_and_what_it_cost(store: Storefront) -> None:
    await store.shops.install_preset(SHOP, "order_confirmation")
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


@pytest.mark.parametrize(
    "bought",
    [
        {"customer": None, "email": None, "contact_email": None},  # the same checkout, by a guest without a name
        {"checkout_token": "another-checkout"},  # the same customer, by another checkout
    ],
)
async def test_a_purchase_counts_by_its_checkout_or_by_its_customer(
    store: Storefront, bought: dict[str, Any]
) -> None:
    await store.automation("cart", **CART)
    await store.told("checkouts_update")
    await store.told("orders_paid", **bought)
    assert (await store.message()).status_reason == Reason.GOAL_REACHED


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
    await store.shops.install_preset(SHOP, "win_back")
    await store.told("orders_create")
    store.clock.move(timedelta(days=10))
    await store.told("orders_create", id=99, updated_at="2026-11-30T14:00:00-05:00")
    row = await store.message()
    assert row.scheduled_time == NOW + timedelta(days=70)
    await store.told("orders_create", id=100, test=True)
    assert (await store.message()).status == Status.SCHEDULED, "a test order is no order"


async def test_what_waits_is_called_off_with_its_automation_or_its_shop(store: Storefront) -> None:
    for key in ("deactivated", "deleted", "saved", "uninstalled"):
        await store.automation(key, **CART)
    await store.told("checkouts_update")
    rows = dict(zip(("deactivated", "deleted", "saved", "uninstalled"), await store.messages(), strict=True))
    assert (await store.shops.deactivate_automation(SHOP, "deactivated")).active is False
    assert await store.shops.delete_automation(SHOP, "deleted") == 1
    await store.automation("saved", **CART, active=False)
    assert (await store.shops.get_message(SHOP, rows["uninstalled"].id)).status == Status.SCHEDULED
    await store.told("app_uninstalled")
    for key, row in rows.items():
        found = await store.shops.get_message(SHOP, row.id)
        reason = Reason.SHOP_UNINSTALLED if key == "uninstalled" else Reason.AUTOMATION_STOPPED
        assert (found.status, found.status_reason) == (Status.CANCELLED, reason)
        assert await store.queues.find("delivery", [f"shop-message-{row.id}"]) == [None]
    assert (await store.shops.activate_automation(SHOP, "deactivated")).active is True


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
    shop, key = await store.shops.create_shop({"domain": SHOP, "name": "Back", "webhook_secret": "a new secret"})
    assert (shop.uninstalled_at, shop.name) == (None, "Back")
    assert key.startswith("tds_")


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"trigger": "orders/payed"}, "trigger", "starts no automation"),
    ({"trigger": "customers/redact"}, "trigger", "starts no automation"),
    ({"goal_topic": "carts/update"}, "goal_topic", "cannot be a goal"),
    ({"goal_topic": "orders/create"}, "goal_topic", "is the trigger itself"),
    ({"rules": {"field": "order.total", "op": "at_least", "value": 1}}, "rules.field", "order.total"),
    ({"rules": {"field": "checkout.token", "op": "is_present"}}, "rules.field", "checkout.token"),
    ({"rules": {"all": []}}, "rules.all", "is empty"),
    ({"template": "Hi {{ customer.nickname }}"}, "template", "customer.nickname"),
    ({"template": "Hi {{ checkout.token }}"}, "template", "checkout"),
    ({"template": "{% if %}"}, "template", "mistake"),
    ({"template": ""}, "template", "at least 1 character"),
    ({"delay_seconds": -1}, "delay_seconds", "greater than or equal to 0"),
    ({"delay_seconds": 400 * 24 * 3600}, "delay_seconds", "less than or equal to"),
    ({"purpose": "fun"}, "purpose", "transactional"),
    ({"colour": "red"}, "colour", "not permitted"),
]


async def test_every_mistake_is_told_when_an_automation_is_saved(open_storefront: Any) -> None:
    store = await open_storefront()
    await store.shop()
    for wrong, field, sentence in MISTAKES:
        with pytest.raises(InvalidInput) as refused:
            await store.automation(**wrong)
        assert refused.value.field == field, wrong
        assert sentence in refused.value.message, wrong
    assert await store.shops.list_automations(SHOP) == []


async def test_every_preset_can_be_installed_with_the_shop_and_each_goal_is_one_that_orders_tell(
    open_storefront: Any,
) -> None:
    store = await open_storefront()
    await store.shop(presets=list(PRESETS))
    assert [row.key for row in await store.shops.list_automations(SHOP)] == list(PRESETS)
    assert {preset.goal_topic for preset in PRESETS.values()} - {None} <= set(GOALS)
    saved = await store.shops.install_preset(SHOP, "win_back")
    assert saved.version == 2
    with pytest.raises(NotFound, match="abandoned_checkout"):
        await store.shops.install_preset(SHOP, "birthday")


async def test_a_preview_shows_a_real_customers_text_its_size_and_its_price(store: Storefront) -> None:
    await store.shops.install_preset(SHOP, "order_confirmation")
    await store.shops.deactivate_automation(SHOP, "order_confirmation")
    event = await store.told("orders_create")
    path = f"/shops/{SHOP}/automations/order_confirmation/preview"
    seen = (await store.api("POST", path, {"customer_id": event.customer_id})).json()
    assert seen["text"] == "Blossom Soaps: thank you, Mara! We have your order #1042 for $64.89."
    assert (seen["holds"], seen["segments"], seen["price"], seen["recipient"]) == (True, 1, "0.0079", MARA)
    assert seen["event_id"] == event.id
    assert seen["explanation"]
    draft = {"event_id": event.id, "template": "Danke, {{ customer.first_name }} – bis bald"}
    seen = (await store.api("POST", path, draft)).json()
    assert "EN DASH" in seen["size"]
    assert await store.messages() == []
    assert (await store.api("POST", path, {"template": "{{ nobody }}"})).status_code == 422
    assert (await store.api("POST", path, {"event_id": 999})).status_code == 404


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


async def test_the_jobs_of_the_specification_work_as_a_node_producer_adds_them(store: Storefront) -> None:
    await store.automation()
    order = payload("orders_create")
    told = {
        "topic": "orders/create",
        "shopId": SHOP,
        "objectId": "gid://shopify/Order/5523456789012",
        "raw": order,
        "requestId": "req_123",
    }
    for _ in range(2):
        await store.shops.enqueue_job("events", "orders/create", told)
    await _until(store, "events", 2)
    await store.settled()
    assert (await store.message()).request_id == "req_123"
    await store.shops.enqueue_job(
        "automations",
        "evaluate",
        {"trigger": "orders/create", "shopId": SHOP, "context": order | {"id": 9}, "requestId": "req_7"},
    )
    await _until(store, "automations", 2)
    await store.settled()
    send = {
        "shopId": SHOP,
        "recipient": "(810) 555-0123",
        "template": "Hi {{ name }}",
        "context": {"name": "Mara"},
        "purpose": "transactional",
        "requestId": "req_9",
    }
    for completed in (3, 4):  # the second is the same message once more
        await store.shops.enqueue_job("delivery", "send", send)
        await _until(store, "delivery", completed)
    assert [text for _, text in store.texts] == ["Hi Mara!", "Hi Mara!", "Hi Mara"]
    assert {row.request_id for row in await store.messages()} == {"req_123", "req_7", "req_9"}
    assert (await store.queues.stats("delivery")).failed == 0


async def _until(store: Storefront, queue: str, completed: int) -> None:
    async with asyncio.timeout(10):
        while (await store.queues.stats(queue)).completed < completed:
            await asyncio.sleep(0.01)


UNUSABLE: list[tuple[str, str, dict[str, Any], str]] = [
    ("events", "orders/paid", {"shopId": SHOP, "raw": {}}, "topic"),
    ("events", "orders/paid", {"topic": "orders/paid", "shopId": SHOP}, ""),
    ("campaigns", "batch", {"shopId": SHOP}, "campaignId"),
    ("housekeeping", "cleanup", {"task": "sweep"}, "task"),
    ("delivery", "send", {"shopId": SHOP, "template": "x"}, ""),
]


async def test_a_job_whose_data_cannot_be_used_is_refused_before_it_is_in_a_queue(open_storefront: Any) -> None:
    store = await open_storefront()
    for queue, name, data, field in UNUSABLE:
        with pytest.raises(InvalidInput) as refused:
            await store.shops.enqueue_job(queue, name, data)
        assert refused.value.field == field
        assert (await store.queues.stats(queue)).total == 0
        with pytest.raises(NotFound):
            await store.shops.enqueue_job(queue, "nonsense", data)
    with pytest.raises(NotFound):
        await store.shops.enqueue_job("event-messages", "send", {})
