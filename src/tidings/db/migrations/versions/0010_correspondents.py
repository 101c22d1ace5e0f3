"""Who has written to which address through the installation's account, out of the ledger as far as it reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

from tidings.db.base import UtcDateTime
from tidings.messages.contacts.numbers.phones import canonical_number

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

PAGE = 5000

_WRITTEN = sa.text(
    "SELECT DISTINCT COALESCE(m.recipient, CASE WHEN d.channel = 'email' THEN c.email ELSE c.phone END, d.address) "
    "AS address, COALESCE(d.tenant, 'installation') AS tenant, "
    "CASE WHEN d.channel LIKE 'whatsapp%' THEN 'whatsapp' ELSE d.channel END AS channel "
    "FROM deliveries d LEFT JOIN contractors c ON c.id = d.contact_id "
    "LEFT JOIN shop_messages m ON d.kind = 'shop-message' AND m.id = d.message_id "
    "WHERE d.outcome IN ('sent', 'unknown') AND d.account IS NULL AND d.kind NOT IN ('chat-message', 'webhook-event')"
)


def upgrade() -> None:
    table = op.create_table(
        "correspondents",
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "tenant", "channel", name="pk_correspondents"),
    )
    now = datetime.now(UTC)
    known = {
        (_digest(row.address), row.tenant, row.channel)
        for row in op.get_bind().execute(_WRITTEN)
        if row.address and row.channel in ("sms", "email", "whatsapp")
    }
    rows = [dict(zip(("digest", "tenant", "channel"), key, strict=True), first_at=now) for key in sorted(known)]
    for start in range(0, len(rows), PAGE):
        op.bulk_insert(table, rows[start : start + PAGE])


def _digest(address: str) -> str:
    same = canonical_number(address) if address.startswith("+") else address
    return blake2b(same.encode(), digest_size=16).hexdigest()


def downgrade() -> None:
    op.drop_table("correspondents")
