"""What sessions are known by in their files, and whether times were told by the event's clocks.

In another timezone such times move along. Of what is stored already nobody knows; it counts as instants. A constant
default changes no row on either database.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("events", "agenda_sessions")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("is_local", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("agenda_sessions", sa.Column("origin", sa.String(64)))


def downgrade() -> None:
    op.drop_column("agenda_sessions", "origin")
    for table in TABLES:
        op.drop_column(table, "is_local")
