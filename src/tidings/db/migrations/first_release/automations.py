"""Automations, segments and campaigns of shops, and the messages that come of them."""

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, Json, UtcDateTime
from tidings.db.migrations.first_release.columns import message_columns


def create() -> None:
    op.create_table(
        "shop_automations",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("trigger", sa.String(length=64), nullable=False),
        sa.Column("rules", Json, nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("delay_seconds", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("goal_topic", sa.String(length=64), nullable=True),
        sa.Column("restart", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_automations_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_automations")),
        sa.UniqueConstraint("shop_id", "key", name=op.f("uq_shop_automations_shop_id_key")),
    )
    op.create_index("ix_shop_automations_shop_id_trigger", "shop_automations", ["shop_id", "trigger"])
    op.create_table(
        "shop_segments",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("rules", Json, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_segments_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_segments")),
        sa.UniqueConstraint("shop_id", "key", name=op.f("uq_shop_segments_shop_id_key")),
    )
    op.create_table(
        "shop_campaigns",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("segment_id", BigId, nullable=True),
        sa.Column("segment_rules", Json, nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("send_at", UtcDateTime(), nullable=True),
        sa.Column("local_time", sa.Boolean(), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=True),
        sa.Column("if_blocked", sa.String(length=8), nullable=False),
        sa.Column("rate_per_minute", sa.Integer(), nullable=True),
        sa.Column("next_release_at", UtcDateTime(), nullable=True),
        sa.Column("cursor", BigId, nullable=False),
        sa.Column("audience", sa.Integer(), nullable=False),
        sa.Column("expanded_at", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["shop_segments.id"], name=op.f("fk_shop_campaigns_segment_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_campaigns_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_campaigns")),
        sa.UniqueConstraint("shop_id", "key", name=op.f("uq_shop_campaigns_shop_id_key")),
    )
    op.create_index("ix_shop_campaigns_status_send_at", "shop_campaigns", ["status", "send_at"])
    op.create_table(
        "shop_messages",
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("customer_id", BigId, nullable=True),
        sa.Column("contractor_id", BigId, nullable=True),
        sa.Column("automation_id", BigId, nullable=True),
        sa.Column("campaign_id", BigId, nullable=True),
        sa.Column("deduplication_key", sa.String(length=300), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=20), nullable=True),
        sa.Column("template", sa.Text(), nullable=True),
        sa.Column("context", Json, nullable=True),
        sa.Column("triggered_at", UtcDateTime(), nullable=True),
        sa.Column("goal_topic", sa.String(length=64), nullable=True),
        sa.Column("goal_key", sa.String(length=255), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("segments", sa.Integer(), nullable=True),
        sa.Column("price", sa.String(length=32), nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("not_after", UtcDateTime(), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("retried_at", UtcDateTime(), nullable=True),
        *message_columns(),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["shop_automations.id"],
            name=op.f("fk_shop_messages_automation_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["shop_campaigns.id"], name=op.f("fk_shop_messages_campaign_id")),
        sa.ForeignKeyConstraint(["contractor_id"], ["contractors.id"], name=op.f("fk_shop_messages_contractor_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["shop_customers.id"], name=op.f("fk_shop_messages_customer_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name=op.f("fk_shop_messages_shop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_messages")),
        sa.UniqueConstraint("shop_id", "deduplication_key", name=op.f("uq_shop_messages_shop_id_deduplication_key")),
    )
    op.create_index("ix_shop_messages_automation_id_status", "shop_messages", ["automation_id", "status"])
    op.create_index(
        "ix_shop_messages_campaign_id_status_scheduled_time",
        "shop_messages",
        ["campaign_id", "status", "scheduled_time"],
    )
    op.create_index("ix_shop_messages_contractor_id", "shop_messages", ["contractor_id"])
    op.create_index("ix_shop_messages_customer_id_status", "shop_messages", ["customer_id", "status"])
    op.create_index("ix_shop_messages_sent_at", "shop_messages", ["sent_at"])
    op.create_index("ix_shop_messages_shop_id_goal_key", "shop_messages", ["shop_id", "goal_key"])
    op.create_index("ix_shop_messages_status_scheduled_time", "shop_messages", ["status", "scheduled_time"])
