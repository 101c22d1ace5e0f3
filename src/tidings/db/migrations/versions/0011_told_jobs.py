"""Users' messages have no delivery status; an endpoint is found by its address, as other programs name it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Takes back the PENDING that users' messages were stored with, and adds the index."""
    op.execute(
        sa.text("UPDATE messages SET delivery_status = NULL WHERE role = 'user' AND delivery_status = 'PENDING'")
    )
    op.create_index("ix_webhook_endpoints_url", "webhook_endpoints", ["url"])


def downgrade() -> None:
    """Drops the index; what was never delivered stays so."""
    op.drop_index("ix_webhook_endpoints_url", "webhook_endpoints")
