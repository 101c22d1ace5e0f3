"""Indexes of the messages that have ended without what follows from their ends; they are empty in a sound database.

The note of a chat's message is new. Those that have ended count as noted: on both databases a column with a constant
default changes no row. Those under way are noted with the next taking.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES: tuple[tuple[str, str, str], ...] = (
    (
        "ix_contractor_followup_schedules_unfollowed",
        "contractor_followup_schedules",
        "is_recurring AND next_occurrence_id IS NULL AND (status IN ('sent', 'failed', 'cancelled', 'unknown') "
        "OR status = 'skipped' AND status_reason NOT IN "
        "('action_item_completed', 'opted_out', 'no_consent', 'consent_revoked'))",
    ),
    ("ix_messages_unfollowed", "messages", "NOT end_noted AND status IN ('sent', 'failed', 'skipped')"),
)


def upgrade() -> None:
    op.add_column("messages", sa.Column("end_noted", sa.Boolean(), nullable=False, server_default=sa.true()))
    for name, table, condition in INDEXES:
        where = sa.text(condition)
        op.create_index(name, table, ["id"], sqlite_where=where, postgresql_where=where, if_not_exists=True)


def downgrade() -> None:
    for name, table, _ in INDEXES:
        op.drop_index(name, table)
    op.drop_column("messages", "end_noted")
