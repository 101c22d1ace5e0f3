"""Automations as shops save, switch and preview them; every mistake is told when one is saved."""

from __future__ import annotations

from typing import Any

import pytest

from shops.rules.payloads import SHOP
from shops.storefront import OpenStorefront, Storefront
from tidings.errors import InvalidInput, NotFound
from tidings.features.shops.automations.goals import GOALS
from tidings.features.shops.rules.presets import PRESETS
from tidings.messages.statuses import Reason, Status

MARA = "+18105550123"
CART = {"trigger": "checkouts/update", "delay_seconds": 3600, "goal_topic": "orders/paid", "restart": True}


async def test_what_waits_is_called_off_with_its_automation_or_its_shop(store: Storefront) -> None:
    for key in ("deactivated", "deleted", "saved", "uninstalled"):
        await store.automation(key, **CART)
    await store.told("checkouts_update")
    rows = dict(zip(("deactivated", "deleted", "saved", "uninstalled"), await store.messages(), strict=True))
    assert (await store.shops.automations.deactivate(SHOP, "deactivated")).active is False
    assert await store.shops.automations.delete(SHOP, "deleted") == 1
    await store.automation("saved", **CART, active=False)
    assert (await store.shops.messages.get(SHOP, rows["uninstalled"].id)).status == Status.SCHEDULED
    await store.told("app_uninstalled")
    for key, row in rows.items():
        found = await store.shops.messages.get(SHOP, row.id)
        reason = Reason.SHOP_UNINSTALLED if key == "uninstalled" else Reason.AUTOMATION_STOPPED
        assert (found.status, found.status_reason) == (Status.CANCELLED, reason)
        assert await store.queues.find("delivery", [f"shop-message-{row.id}"]) == [None]
    assert (await store.shops.automations.activate(SHOP, "deactivated")).active is True


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
    ({"colour": "red"}, "colour", "is not a known field"),
]


async def test_every_mistake_is_told_when_an_automation_is_saved(open_storefront: OpenStorefront) -> None:
    store = await open_storefront()
    await store.shop()
    for wrong, field, sentence in MISTAKES:
        with pytest.raises(InvalidInput) as refused:
            await store.automation(**wrong)
        assert refused.value.field == field, wrong
        assert sentence in refused.value.message, wrong
    assert await store.shops.automations.list(SHOP) == []


async def test_every_preset_can_be_installed_with_the_shop_and_each_goal_is_one_that_orders_tell(
    open_storefront: OpenStorefront,
) -> None:
    store = await open_storefront()
    await store.shop(presets=list(PRESETS))
    assert [row.key for row in await store.shops.automations.list(SHOP)] == list(PRESETS)
    assert {preset.goal_topic for preset in PRESETS.values()} - {None} <= set(GOALS)
    saved = await store.shops.automations.install_preset(SHOP, "win_back")
    assert saved.version == 2
    with pytest.raises(NotFound, match="abandoned_checkout"):
        await store.shops.automations.install_preset(SHOP, "birthday")


async def test_a_preview_shows_a_real_customers_text_its_size_and_its_price(store: Storefront) -> None:
    await store.shops.automations.install_preset(SHOP, "order_confirmation")
    await store.shops.automations.deactivate(SHOP, "order_confirmation")
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
