"""The gate and the door in: opt-outs, consents, trust, admissions, replies, notices, delivery statuses, AI usage."""

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default stays: SQLite could only take it away by making the table anew, which rows refer to.
    op.add_column("contractors", sa.Column("vip", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.alter_column("contact_id", existing_type=BigId, nullable=True)
        deliveries.add_column(sa.Column("delivery_status", sa.String(length=16), nullable=True))
        deliveries.add_column(sa.Column("delivery_status_at", UtcDateTime(), nullable=True))
    op.create_index("ix_deliveries_provider_message_id", "deliveries", ["provider_message_id"])
    # Whatever left before was taken by its provider, as every line says that is written from now on.
    op.execute("UPDATE deliveries SET delivery_status = 'SENT' WHERE outcome = 'sent'")

    op.create_table(
        "opt_outs",
        sa.Column("id", BigId, nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("contact_id", BigId, nullable=True),
        sa.Column("opted_out_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name=op.f("fk_opt_outs_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_outs")),
    )
    op.create_index("ix_opt_outs_contact_id", "opt_outs", ["contact_id"])
    op.create_index(
        "ix_opt_outs_valid_address",
        "opt_outs",
        ["address"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )

    op.create_table(
        "consents",
        sa.Column("id", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name=op.f("fk_consents_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_contact_id_channel_scope", "consents", ["contact_id", "channel", "scope"])

    op.create_table(
        "contact_trust",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name=op.f("fk_contact_trust_contact_id")),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_contact_trust")),
    )

    op.create_table(
        "admissions",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message_id", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "message_id", name=op.f("pk_admissions")),
    )
    op.create_index("ix_admissions_contact_id_at", "admissions", ["contact_id", "at"])

    op.create_table(
        "replies",
        sa.Column("id", BigId, nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("provider_message_id", sa.String(length=255), nullable=False),
        sa.Column("sender", sa.String(length=254), nullable=False),
        sa.Column("contact_id", BigId, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("command", sa.String(length=8), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=True),
        sa.Column("message_id", BigId, nullable=True),
        sa.Column("sentiment_score", sa.Double(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("action_taken", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name=op.f("fk_replies_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replies")),
        sa.UniqueConstraint("provider", "provider_message_id", name=op.f("uq_replies_provider_provider_message_id")),
    )
    op.create_index("ix_replies_contact_id_received_at", "replies", ["contact_id", "received_at"])
    op.create_index("ix_replies_kind_message_id", "replies", ["kind", "message_id"])

    op.create_table(
        "notices",
        sa.Column("notice_type", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("contact_id", BigId, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("id", BigId, nullable=False),
        sa.Column("scheduled_time", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_reason", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("held_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name=op.f("fk_notices_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_status", "notices", ["status"])

    op.create_table(
        "ai_usage",
        sa.Column("id", BigId, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message_id", BigId, nullable=True),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Double(), nullable=False),
        sa.Column("fallback", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_usage")),
    )
    op.create_index("ix_ai_usage_at", "ai_usage", ["at"])
    op.create_index("ix_ai_usage_kind_message_id", "ai_usage", ["kind", "message_id"])


def downgrade() -> None:
    for table in ("ai_usage", "notices", "replies", "admissions", "contact_trust", "consents", "opt_outs"):
        op.drop_table(table)
    op.drop_index("ix_deliveries_provider_message_id", "deliveries")
    op.execute("DELETE FROM deliveries WHERE contact_id IS NULL")  # answers to numbers that nobody knows
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.drop_column("delivery_status_at")
        deliveries.drop_column("delivery_status")
        deliveries.alter_column("contact_id", existing_type=BigId, nullable=False)
    op.drop_column("contractors", "vip")
