"""Messages that were simulated: the indexes of endings that nothing followed yet know them.

What the simulator took before stays `sent`: nothing in a row says that it went no further.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INDEXES: tuple[tuple[str, str, str], ...] = (
    (
        "ix_contractor_followup_schedules_unfollowed",
        "contractor_followup_schedules",
        "is_recurring AND next_occurrence_id IS NULL AND (status IN ('sent', 'failed', 'cancelled', 'unknown'{more}) "
        "OR status = 'skipped' AND status_reason NOT IN "
        "('action_item_completed', 'opted_out', 'no_consent', 'consent_revoked'))",
    ),
    ("ix_messages_unfollowed", "messages", "NOT end_noted AND status IN ('sent', 'failed', 'skipped'{more})"),
)


def upgrade() -> None:
    _make_again(", 'simulated'")


def downgrade() -> None:
    _make_again("")


def _make_again(more: str) -> None:
    for name, table, condition in INDEXES:
        where = sa.text(condition.format(more=more))
        op.drop_index(name, table)
        op.create_index(name, table, ["id"], sqlite_where=where, postgresql_where=where)
