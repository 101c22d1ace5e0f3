"""Proactive messages, and the goals that they are about."""

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, Json, UtcDateTime
from tidings.db.migrations.first_release.columns import message_columns

UNDER_WAY = sa.text("status IN ('waiting', 'scheduled', 'sending')")


def create() -> None:
    op.create_table(
        "contractor_goals",
        sa.Column("id", BigId, nullable=False),
        sa.Column("contractor_id", BigId, nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("target_date", sa.Date(), nullable=True),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("last_progress_at", UtcDateTime(), nullable=False),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contractor_id"], ["contractors.id"], name=op.f("fk_contractor_goals_contractor_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contractor_goals")),
    )
    op.create_index("ix_contractor_goals_contractor_id", "contractor_goals", ["contractor_id"])
    op.create_table(
        "contractor_checklist_items",
        sa.Column("id", BigId, nullable=False),
        sa.Column("goal_id", BigId, nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["goal_id"],
            ["contractor_goals.id"],
            name=op.f("fk_contractor_checklist_items_goal_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contractor_checklist_items")),
    )
    op.create_index("ix_contractor_checklist_items_goal_id", "contractor_checklist_items", ["goal_id"])
    op.create_table(
        "ai_proactive_messages",
        sa.Column("contractor_id", BigId, nullable=False),
        sa.Column("message_type", sa.String(length=64), nullable=False),
        sa.Column("message_content", sa.Text(), nullable=False),
        sa.Column("ai_reasoning", sa.Text(), nullable=False),
        sa.Column("context_data", Json, nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("contractor_response", sa.Text(), nullable=True),
        sa.Column("deduplication_key", sa.String(length=200), nullable=False),
        sa.Column("goal_id", BigId, nullable=True),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("useful_until", UtcDateTime(), nullable=False),
        sa.Column("approval", sa.String(length=16), nullable=False),
        sa.Column("approval_until", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decision_note", sa.Text(), nullable=True),
        sa.Column("response_received_at", UtcDateTime(), nullable=True),
        sa.Column("response_minutes", sa.Double(), nullable=True),
        sa.Column("sentiment_score", sa.Double(), nullable=True),
        sa.Column("silence_due", UtcDateTime(), nullable=True),
        *message_columns(),
        sa.ForeignKeyConstraint(
            ["contractor_id"], ["contractors.id"], name=op.f("fk_ai_proactive_messages_contractor_id")
        ),
        sa.ForeignKeyConstraint(
            ["goal_id"],
            ["contractor_goals.id"],
            name=op.f("fk_ai_proactive_messages_goal_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_proactive_messages")),
    )
    op.create_index(
        "ix_ai_proactive_messages_deduplication",
        "ai_proactive_messages",
        ["contractor_id", "deduplication_key"],
        unique=True,
    )
    op.create_index(
        "ix_ai_proactive_messages_under_way",
        "ai_proactive_messages",
        ["contractor_id"],
        unique=True,
        sqlite_where=UNDER_WAY,
        postgresql_where=UNDER_WAY,
    )
    op.create_index(
        "ix_ai_proactive_messages_status_scheduled_time", "ai_proactive_messages", ["status", "scheduled_time"]
    )
    op.create_index("ix_ai_proactive_messages_silence_due", "ai_proactive_messages", ["silence_due"])
