"""An index over the few lines of the ledger that say that nobody knows whether a message left."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = "ix_deliveries_outcome_kind_message_id"


def upgrade() -> None:
    where = sa.text("outcome = 'unknown'")
    op.create_index(
        NAME,
        "deliveries",
        ["outcome", "kind", "message_id"],
        sqlite_where=where,
        postgresql_where=where,
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_index(NAME, "deliveries")
