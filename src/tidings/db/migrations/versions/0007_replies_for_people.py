"""Replies that a person has to look at are marked, and found by an index, as a tenant's are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replies", sa.Column("needs_person", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE replies SET needs_person = true "
        "WHERE unsure OR action_taken IN ('needs_person', 'unsure', 'sender_unreadable')"
    )
    op.create_index("ix_replies_tenant_id", "replies", ["tenant", "id"])
    op.create_index(
        "ix_replies_needs_person",
        "replies",
        ["id"],
        sqlite_where=sa.text("needs_person = 1"),
        postgresql_where=sa.text("needs_person"),
    )


def downgrade() -> None:
    op.drop_index("ix_replies_needs_person", "replies")
    op.drop_index("ix_replies_tenant_id", "replies")
    op.drop_column("replies", "needs_person")
