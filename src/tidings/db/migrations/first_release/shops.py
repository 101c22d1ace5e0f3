"""Shops with their customers and orders, what Shopify told about them, and reports."""

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, Json, UtcDateTime


def create() -> None:
    op.create_table(
        "shops",
        sa.Column("id", BigId, nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("locale", sa.String(length=35), nullable=False),
        sa.Column("region", sa.String(length=2), nullable=False),
        sa.Column("sender", sa.String(length=20), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=False),
        sa.Column("previous_webhook_secret", sa.Text(), nullable=True),
        sa.Column("mitto_api_key", sa.Text(), nullable=True),
        sa.Column("callback_token", sa.Text(), nullable=False),
        sa.Column("callback_hash", sa.String(length=64), nullable=False),
        sa.Column("api_key_hash", sa.String(length=64), nullable=False),
        sa.Column("sms_prices", Json, nullable=False),
        sa.Column("default_price", sa.String(length=32), nullable=False),
        sa.Column("installed_at", UtcDateTime(), nullable=False),
        sa.Column("uninstalled_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shops")),
        sa.UniqueConstraint("api_key_hash", name=op.f("uq_shops_api_key_hash")),
        sa.UniqueConstraint("callback_hash", name=op.f("uq_shops_callback_hash")),
        sa.UniqueConstraint("domain", name=op.f("uq_shops_domain")),
    )
    op.create_table(
        "shop_customers",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("contractor_id", BigId, nullable=True),
        sa.Column("former_contacts", Json, nullable=False),
        sa.Column("customer_key", sa.String(length=300), nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=True),
        sa.Column("last_name", sa.String(length=100), nullable=True),
        sa.Column("email", sa.String(length=500), nullable=True),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("locale", sa.String(length=35), nullable=True),
        sa.Column("tags", Json, nullable=False),
        sa.Column("orders_count", sa.Integer(), nullable=False),
        sa.Column("total_spent", sa.String(length=64), nullable=False),
        sa.Column("first_order_at", UtcDateTime(), nullable=True),
        sa.Column("last_order_at", UtcDateTime(), nullable=True),
        sa.Column("sms_consent", sa.String(length=40), nullable=True),
        sa.Column("sms_consent_at", UtcDateTime(), nullable=True),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("redacted_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["contractor_id"], ["contractors.id"], name=op.f("fk_shop_customers_contractor_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_customers_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_customers")),
        sa.UniqueConstraint("shop_id", "customer_key", name=op.f("uq_shop_customers_shop_id_customer_key")),
    )
    op.create_index("ix_shop_customers_contractor_id", "shop_customers", ["contractor_id"])
    op.create_index("ix_shop_customers_shop_id_email", "shop_customers", ["shop_id", "email"])
    op.create_index("ix_shop_customers_shop_id_phone", "shop_customers", ["shop_id", "phone"])
    op.create_table(
        "shop_daily_reports",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("automation_id", BigId, nullable=False),
        sa.Column("campaign_id", BigId, nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_daily_reports_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_daily_reports")),
        sa.UniqueConstraint(
            "shop_id",
            "day",
            "automation_id",
            "campaign_id",
            name=op.f("uq_shop_daily_reports_shop_id_day_automation_id_campaign_id"),
        ),
    )
    op.create_table(
        "shop_data_exports",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("request_key", sa.String(length=255), nullable=False),
        sa.Column("customer_id", BigId, nullable=True),
        sa.Column("content", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["shop_customers.id"], name=op.f("fk_shop_data_exports_customer_id")
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_data_exports_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_data_exports")),
        sa.UniqueConstraint("shop_id", "request_key", name=op.f("uq_shop_data_exports_shop_id_request_key")),
    )
    op.create_table(
        "shop_orders",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("order_key", sa.String(length=255), nullable=False),
        sa.Column("customer_id", BigId, nullable=True),
        sa.Column("checkout_token", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("placed_at", UtcDateTime(), nullable=True),
        sa.Column("paid_at", UtcDateTime(), nullable=True),
        sa.Column("fulfilled_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled_at", UtcDateTime(), nullable=True),
        sa.Column("total", sa.String(length=64), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("titles", Json, nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["shop_customers.id"], name=op.f("fk_shop_orders_customer_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_orders_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_orders")),
        sa.UniqueConstraint("shop_id", "order_key", name=op.f("uq_shop_orders_shop_id_order_key")),
    )
    op.create_index("ix_shop_orders_customer_id", "shop_orders", ["customer_id"])
    op.create_index("ix_shop_orders_shop_id_checkout_token", "shop_orders", ["shop_id", "checkout_token"])
    op.create_table(
        "shop_webhook_events",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("object_id", sa.String(length=255), nullable=True),
        sa.Column("customer_id", BigId, nullable=True),
        sa.Column("raw", Json, nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("processed_at", UtcDateTime(), nullable=True),
        sa.Column("evaluated_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("missing", Json, nullable=False),
        sa.Column("evaluation", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["shop_customers.id"], name=op.f("fk_shop_webhook_events_customer_id")
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_webhook_events_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_webhook_events")),
        sa.UniqueConstraint("shop_id", "event_id", name=op.f("uq_shop_webhook_events_shop_id_event_id")),
    )
    op.create_index("ix_shop_webhook_events_customer_id", "shop_webhook_events", ["customer_id"])
    op.create_index("ix_shop_webhook_events_evaluated_at", "shop_webhook_events", ["evaluated_at"])
    op.create_index("ix_shop_webhook_events_received_at", "shop_webhook_events", ["received_at"])
