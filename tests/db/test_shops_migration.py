"""Shops of before orders knew their refunds: their ready automations, and what waits, are brought along."""

from __future__ import annotations

import json

import pytest
from alembic import command
from sqlalchemy import text

from tidings.db import migrate
from tidings.db.database import open_database
from tidings.features.shops.rules.presets import PRESETS

pytestmark = pytest.mark.both_databases

THEN = "'2026-11-01 12:00:00+00:00'"
SENT = {"field": "fulfillment.status", "op": "not_in", "value": ["cancelled", "error", "failure"]}
REAL = {
    "all": [{"field": "order.test", "op": "is_false"}, {"field": "order.cancelled_at", "op": "is_missing"}],
}
CART = {"all": [{"field": "checkout.item_count", "op": "at_least", "value": 1}]}
OWN = {"field": "order.total_price", "op": "at_least", "value": 50}
AUTOMATIONS = (
    (1, "abandoned_checkout", "checkouts/update", CART, "orders/paid"),
    (2, "order_confirmation", "orders/create", REAL, None),
    (3, "shipping_update", "fulfillments/create", SENT, None),
    (4, "review_request", "fulfillments/create", SENT, None),
    (5, "win_back", "orders/create", OWN, None),
    (6, "cart_of_our_own", "checkouts/update", CART, "orders/paid"),
)
PARCEL = {"order": {"id": "77", "name": "#1042"}, "fulfillment": {"id": "9"}}
MESSAGES = ((1, 1, "scheduled", "orders/paid", {}), (2, 4, "scheduled", None, PARCEL), (3, 3, "sent", None, PARCEL))


async def test_ready_automations_get_their_new_rules_unless_somebody_changed_them(empty_database_url: str) -> None:
    database = open_database(empty_database_url)
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda conn: command.upgrade(migrate._config(conn), "0010"))
        for statement in before():
            await connection.execute(text(statement))
        await connection.run_sync(lambda conn: command.upgrade(migrate._config(conn), "head"))
        rows = (await connection.execute(text("SELECT key, rules, goal_topic FROM shop_automations"))).all()
        messages = (await connection.execute(text("SELECT id, goal_topic, order_key FROM shop_messages"))).all()
        counted = await connection.execute(text("SELECT order_key, counted FROM shop_orders ORDER BY order_key"))
        found = [tuple(row) for row in counted]
    await database.close()
    rules = {row.key: json.loads(row.rules) if isinstance(row.rules, str) else row.rules for row in rows}
    for key in ("order_confirmation", "shipping_update", "review_request"):
        assert rules[key] == PRESETS[key].rules, key
    assert (rules["win_back"], rules["cart_of_our_own"]) == (OWN, CART)
    goals = {row.key: row.goal_topic for row in rows}
    assert (goals["abandoned_checkout"], goals["cart_of_our_own"]) == ("orders/create", "orders/paid")
    assert sorted(tuple(row) for row in messages) == [(1, "orders/create", None), (2, None, "77"), (3, None, None)]
    assert found == [("77", "64.89"), ("78", None), ("79", None)]


def before() -> list[str]:
    """What a database of the version before holds."""
    return [
        "INSERT INTO shops (id, domain, name, timezone, currency, locale, region, webhook_secret, callback_token, "
        "callback_hash, api_key_hash, sms_prices, default_price, installed_at, created_at, updated_at) VALUES (3, "
        "'amber.myshopify.com', 'Amber', 'Europe/Berlin', 'EUR', 'de', 'DE', 'x', 'x', 'x', 'x', '{}', '0', "
        f"{THEN}, {THEN}, {THEN})",
        "INSERT INTO shop_customers (id, shop_id, former_contacts, customer_key, tags, orders_count, total_spent, "
        "as_of, created_at, updated_at) "
        f"VALUES (4, 3, '[]', '5', '[]', 1, '64.89', {THEN}, {THEN}, {THEN})",
        *(
            "INSERT INTO shop_orders (shop_id, order_key, customer_id, placed_at, total, titles, is_test, "
            f"created_at, updated_at) VALUES (3, '{key}', {customer}, {THEN}, '64.89', '[]', {test}, {THEN}, {THEN})"
            for key, customer, test in (("77", "4", "false"), ("78", "NULL", "false"), ("79", "4", "true"))
        ),
        *(
            "INSERT INTO shop_automations (id, shop_id, key, name, trigger, rules, template, delay_seconds, purpose, "
            f"goal_topic, restart, active, version, created_at, updated_at) VALUES ({number}, 3, '{key}', 'n', "
            f"'{trigger}', '{json.dumps(rules)}', 't', 0, 'transactional', {quoted(goal)}, false, true, 1, {THEN}, "
            f"{THEN})"
            for number, key, trigger, rules, goal in AUTOMATIONS
        ),
        *(
            "INSERT INTO shop_messages (id, shop_id, automation_id, deduplication_key, purpose, context, goal_topic, "
            "scheduled_time, status, attempts, created_at, updated_at) "
            f"VALUES ({number}, 3, {automation}, 'k{number}', 'transactional', '{json.dumps(context)}', "
            f"{quoted(goal)}, {THEN}, '{status}', 0, {THEN}, {THEN})"
            for number, automation, status, goal, context in MESSAGES
        ),
    ]


def quoted(value: str | None) -> str:
    return "NULL" if value is None else f"'{value}'"
