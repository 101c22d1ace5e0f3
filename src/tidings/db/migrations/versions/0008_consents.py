"""Consents say for what, in which words and by which door; shops have sign-up keywords and test numbers.

What was kept before is about promotional messages; by which door it came is what its source says.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INDEXES = (("consents", ("tenant", "id")), ("opt_outs", ("tenant", "id")))
"""What a tenant's own pages are read by."""


def upgrade() -> None:
    op.add_column("consents", _column("purpose", 16, "promotional"))
    op.add_column("consents", sa.Column("address", sa.String(254), nullable=True))
    op.add_column("consents", _column("door", 300, "api"))
    op.add_column("consents", sa.Column("wording", sa.Text(), nullable=True))
    op.execute("UPDATE consents SET door = source")
    for table, columns in _INDEXES:
        op.create_index(_name(table, columns), table, list(columns))
    op.add_column("tenants", sa.Column("programme", sa.String(60), nullable=True))
    op.add_column("shops", sa.Column("join_keyword", sa.String(40), nullable=True, server_default="JOIN"))
    op.add_column("shops", sa.Column("double_opt_in", sa.Boolean(), nullable=True))
    op.add_column("shops", sa.Column("previous_callback_hash", sa.String(64), nullable=True))
    op.create_table(
        "shop_sign_ups",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("address", sa.String(20), nullable=False),
        sa.Column("door", sa.String(300), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name="fk_shop_sign_ups_shop_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shop_sign_ups"),
        sa.UniqueConstraint("shop_id", "address", name="uq_shop_sign_ups_shop_id_address"),
    )
    op.create_index("ix_shop_sign_ups_address", "shop_sign_ups", ["address"])
    op.create_table(
        "shop_test_numbers",
        sa.Column("id", BigId, nullable=False),
        sa.Column("shop_id", BigId, nullable=False),
        sa.Column("phone", sa.String(20), nullable=False),
        sa.Column("code_salt", sa.String(32), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("code_until", UtcDateTime(), nullable=False),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("verified_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["shops.id"], name="fk_shop_test_numbers_shop_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shop_test_numbers"),
        sa.UniqueConstraint("shop_id", "phone", name="uq_shop_test_numbers_shop_id_phone"),
    )


def downgrade() -> None:
    op.drop_table("shop_test_numbers")
    op.drop_table("shop_sign_ups")
    for name in ("previous_callback_hash", "double_opt_in", "join_keyword"):
        op.drop_column("shops", name)
    op.drop_column("tenants", "programme")
    for table, columns in _INDEXES:
        op.drop_index(_name(table, columns), table)
    # Before, every word was about promotional messages, so others have no place.
    op.execute("DELETE FROM consents WHERE purpose <> 'promotional'")
    for name in ("wording", "door", "address", "purpose"):
        op.drop_column("consents", name)


def _column(name: str, length: int, value: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=value)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
