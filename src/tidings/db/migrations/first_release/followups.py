"""Follow-ups, action items and experiments."""

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, Json, UtcDateTime
from tidings.db.migrations.first_release.columns import message_columns


def create() -> None:
    op.create_table(
        "contractor_action_items",
        sa.Column("id", BigId, nullable=False),
        sa.Column("contractor_id", BigId, nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contractor_id"], ["contractors.id"], name=op.f("fk_contractor_action_items_contractor_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contractor_action_items")),
    )
    op.create_index("ix_contractor_action_items_contractor_id", "contractor_action_items", ["contractor_id"])
    op.create_table(
        "followup_experiments",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("variants", Json, nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_followup_experiments")),
        sa.UniqueConstraint("name", name=op.f("uq_followup_experiments_name")),
    )
    op.create_table(
        "contractor_followup_schedules",
        sa.Column("contractor_id", BigId, nullable=False),
        sa.Column("action_item_id", BigId, nullable=True),
        sa.Column("event_id", BigId, nullable=True),
        sa.Column("followup_type", sa.String(length=64), nullable=False),
        sa.Column("message_template", sa.Text(), nullable=False),
        sa.Column("message_tone", sa.String(length=200), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("sent_by", sa.String(length=32), nullable=True),
        sa.Column("response_received_at", UtcDateTime(), nullable=True),
        sa.Column("response_text", sa.Text(), nullable=True),
        sa.Column("ai_should_personalize", sa.Boolean(), nullable=False),
        sa.Column("ai_context_hints", Json, nullable=False),
        sa.Column("skip_if_completed", sa.Boolean(), nullable=False),
        sa.Column("is_recurring", sa.Boolean(), nullable=False),
        sa.Column("recurrence_interval_days", sa.Integer(), nullable=True),
        sa.Column("next_occurrence_id", BigId, nullable=True),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("if_blocked", sa.String(length=8), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=True),
        sa.Column("series_id", BigId, nullable=True),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("first_local_time", sa.DateTime(), nullable=True),
        sa.Column("experiment_id", BigId, nullable=True),
        sa.Column("variant", sa.String(length=64), nullable=True),
        sa.Column("sentiment_score", sa.Double(), nullable=True),
        sa.Column("action_taken", sa.String(length=64), nullable=True),
        *message_columns(),
        sa.ForeignKeyConstraint(
            ["contractor_id"], ["contractors.id"], name=op.f("fk_contractor_followup_schedules_contractor_id")
        ),
        sa.ForeignKeyConstraint(
            ["action_item_id"],
            ["contractor_action_items.id"],
            name=op.f("fk_contractor_followup_schedules_action_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_contractor_followup_schedules_event_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["next_occurrence_id"],
            ["contractor_followup_schedules.id"],
            name=op.f("fk_contractor_followup_schedules_next_occurrence_id"),
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["followup_experiments.id"],
            name=op.f("fk_contractor_followup_schedules_experiment_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contractor_followup_schedules")),
        sa.UniqueConstraint(
            "series_id", "occurrence", name=op.f("uq_contractor_followup_schedules_series_id_occurrence")
        ),
    )
    for column in ("contractor_id", "experiment_id", "scheduled_time", "sent_at", "status"):
        op.create_index(f"ix_contractor_followup_schedules_{column}", "contractor_followup_schedules", [column])
