"""Orders know their refunds and parcels, messages the order that has to stand for them.

Ready automations that were installed get the rules and the goal that they have now, unless somebody has changed them.
What has been counted of orders until now is their totals. Waiting messages about parcels and orders are linked to
their orders; the facts that they were planned from name those.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tidings.db.base import BigId, UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PAGE = 1000
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

AUTOMATIONS = sa.table(
    "shop_automations",
    *(sa.column(name) for name in ("id", "key", "trigger", "goal_topic")),
    sa.column("rules", JSON),
)
MESSAGES = sa.table(
    "shop_messages",
    *(sa.column(name) for name in ("id", "automation_id", "status", "goal_topic", "order_key")),
    sa.column("context", JSON),
)

_SENT: dict[str, Any] = {"field": "fulfillment.status", "op": "not_in", "value": ["cancelled", "error", "failure"]}
_TRAVELS: dict[str, Any] = {"field": "fulfillment.ships", "op": "is_true"}
_FROM_AFAR: dict[str, Any] = {"field": "order.source_name", "op": "not_equals", "value": "pos"}
_TRACKED: dict[str, Any] = {"field": "fulfillment.tracking_number", "op": "is_present"}
_NOT_IMPORTED: dict[str, Any] = {"field": "order.imported", "op": "is_false"}
_REAL: list[dict[str, Any]] = [
    {"field": "order.test", "op": "is_false"},
    {"field": "order.cancelled_at", "op": "is_missing"},
]

RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "shipping_update": (_SENT, {"all": [_SENT, _TRAVELS, {"any": [_FROM_AFAR, _TRACKED]}]}),
    "review_request": (_SENT, {"all": [_SENT, _TRAVELS]}),
    "order_confirmation": ({"all": _REAL}, {"all": [*_REAL, _NOT_IMPORTED, _FROM_AFAR]}),
    "win_back": ({"all": _REAL}, {"all": [*_REAL, _NOT_IMPORTED]}),
}
"""The rules of ready automations, before and after."""

OF_ORDERS = ("orders/create", "orders/paid", "orders/updated", "fulfillments/create", "fulfillments/update")


def upgrade() -> None:
    op.add_column("shop_orders", sa.Column("source_name", sa.String(500)))
    op.add_column("shop_orders", sa.Column("refunds", JSON))
    op.add_column("shop_orders", sa.Column("parcels", JSON))
    op.add_column("shop_orders", sa.Column("counted", sa.String(64)))
    op.add_column("shop_orders", sa.Column("as_of", UtcDateTime()))
    op.execute(
        "UPDATE shop_orders SET counted = COALESCE(total, '0') "
        "WHERE customer_id IS NOT NULL AND placed_at IS NOT NULL AND is_test = false"
    )
    op.add_column("shop_webhook_events", sa.Column("triggered_at", UtcDateTime()))
    op.add_column("shop_messages", sa.Column("order_key", sa.String(255)))
    has_order = sa.text("order_key IS NOT NULL")
    op.create_index(
        "ix_shop_messages_shop_id_order_key",
        "shop_messages",
        ["shop_id", "order_key"],
        postgresql_where=has_order,
        sqlite_where=has_order,
    )
    op.create_table(
        "shop_ignored_topics",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shop_ignored_topics"),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name="fk_shop_ignored_topics_shop_id_shops"),
        sa.UniqueConstraint("shop_id", "topic", name="uq_shop_ignored_topics_shop_id_topic"),
    )
    _renew_automations()
    _link_messages()


def _renew_automations() -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(AUTOMATIONS)).all():
        before, after = RULES.get(row.key, (None, None))
        if before is not None and row.rules == before:
            connection.execute(AUTOMATIONS.update().where(AUTOMATIONS.c.id == row.id).values(rules=after))
        if (row.key, row.trigger, row.goal_topic) == ("abandoned_checkout", "checkouts/update", "orders/paid"):
            goal = {"goal_topic": "orders/create"}
            connection.execute(AUTOMATIONS.update().where(AUTOMATIONS.c.id == row.id).values(goal))
            waiting = (MESSAGES.c.automation_id == row.id, MESSAGES.c.status == "scheduled")
            connection.execute(MESSAGES.update().where(*waiting).values(goal))


def _link_messages() -> None:
    connection = op.get_bind()
    theirs = sa.select(AUTOMATIONS.c.id).where(AUTOMATIONS.c.trigger.in_(OF_ORDERS))
    waiting = (
        sa.select(MESSAGES.c.id, MESSAGES.c.context)
        .where(MESSAGES.c.status == "scheduled", MESSAGES.c.automation_id.in_(theirs))
        .order_by(MESSAGES.c.id)
        .limit(PAGE)
    )
    last_id = 0
    while rows := connection.execute(waiting.where(MESSAGES.c.id > last_id)).all():
        for row in rows:
            facts = json.loads(row.context) if isinstance(row.context, str) else row.context or {}
            order = (facts.get("order") or {}).get("id")
            if order:
                connection.execute(MESSAGES.update().where(MESSAGES.c.id == row.id).values(order_key=order))
        last_id = rows[-1].id


def downgrade() -> None:
    op.drop_table("shop_ignored_topics")
    op.drop_index("ix_shop_messages_shop_id_order_key", "shop_messages")
    op.drop_column("shop_messages", "order_key")
    op.drop_column("shop_webhook_events", "triggered_at")
    for name in ("as_of", "counted", "parcels", "refunds", "source_name"):
        op.drop_column("shop_orders", name)
