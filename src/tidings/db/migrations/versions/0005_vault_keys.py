"""The database knows by which key its secrets are sealed, so that a process with another one is refused.

Every sealed text names its key: version, name and body, separated by dots.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SEALED: tuple[tuple[str, str], ...] = (
    ("shops", "webhook_secret"),
    ("shops", "previous_webhook_secret"),
    ("shops", "mitto_api_key"),
    ("shops", "callback_token"),
    ("whatsapp_cloud_accounts", "access_token"),
    ("whatsapp_cloud_accounts", "app_secret"),
    ("whatsapp_cloud_accounts", "verify_token"),
    ("whatsapp_qr_sessions", "webhook_secret"),
    ("webhook_endpoints", "secrets"),
)


def upgrade() -> None:
    keys = op.create_table(
        "vault_keys",
        sa.Column("id", BigId, nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vault_keys"),
    )
    names: set[str] = set()
    for table, column in SEALED:
        sealed: sa.ColumnClause[str] = sa.column(column, sa.Text())
        query = sa.select(sealed).select_from(sa.table(table)).where(sealed.like("v1.%"))
        names.update(text.split(".")[1] for text in op.get_bind().scalars(query))
    if names:
        op.bulk_insert(keys, [{"id": 1, "names": " ".join(sorted(names))}])


def downgrade() -> None:
    op.drop_table("vault_keys")
