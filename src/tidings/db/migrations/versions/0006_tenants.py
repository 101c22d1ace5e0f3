"""Tenants: every message, opt-out, consent, place in caps, reply, notice and usage says whose it is.

Opt-outs of before held for every tenant, every channel and the whole person, and go on doing so. A START that comes
in by a door of the installation ends those that came in by a reply. Addresses are stored in the form in which they
are compared; where that form is taken the row keeps its own, and holds for the person as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tidings.messages.contacts.numbers.phones import canonical_number

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OF_SHOP = "(SELECT 'shop:' || shop_id FROM shop_messages WHERE shop_messages.id = {table}.message_id)"
_HOLDS = sa.text("ended_at IS NULL")
_UNSURE = sa.text("ended_at IS NULL AND stops = 'unsure'")


def upgrade() -> None:
    _make_tenants()
    _tell_apart_opt_outs()
    for table, index, columns in (
        ("consents", "ix_consents_contact_id_channel", ("contact_id", "channel")),
        ("admissions", None, ()),
    ):
        if index is not None:
            op.drop_index(f"{index}_scope", table)
        op.execute(f"ALTER TABLE {table} RENAME COLUMN scope TO tenant")
        op.execute(f"UPDATE {table} SET tenant = 'installation' WHERE tenant = ''")
        if index is not None:
            op.create_index(f"{index}_tenant", table, [*columns, "tenant"])
    op.add_column("deliveries", sa.Column("tenant", sa.String(64), nullable=True))
    op.add_column("deliveries", sa.Column("account", sa.String(255), nullable=True))
    op.add_column("deliveries", sa.Column("address", sa.String(254), nullable=True))
    elsewhere = sa.text("address IS NOT NULL")
    op.create_index(
        "ix_deliveries_address", "deliveries", ["address"], sqlite_where=elsewhere, postgresql_where=elsewhere
    )
    op.execute(f"UPDATE deliveries SET tenant = {_OF_SHOP.format(table='deliveries')} WHERE kind = 'shop-message'")
    op.execute(
        "UPDATE deliveries SET account = tenant WHERE kind = 'shop-message' AND provider = 'mitto' AND EXISTS "
        "(SELECT 1 FROM shop_messages JOIN shops ON shops.id = shop_messages.shop_id WHERE shop_messages.id = "
        "deliveries.message_id AND shops.sender IS NOT NULL)"
    )
    _tell_apart_replies()
    for table in ("notices", "ai_usage"):
        op.add_column(table, _named("tenant", "installation"))
    op.add_column("chatbots", sa.Column("keywords", sa.Boolean(), nullable=False, server_default=sa.false()))


def _make_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("brand", sa.String(60), nullable=True),
        sa.Column("support", sa.String(254), nullable=True),
        sa.Column("timezone", sa.String(64), nullable=True),
        sa.Column("quiet_hours", sa.String(16), nullable=True),
        sa.Column("quiet_hours_by_country", sa.String(1000), nullable=True),
        sa.Column("frequency_caps", sa.String(100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_tenants"),
    )
    op.execute(
        "INSERT INTO tenants (key, name, timezone, created_at, updated_at) "
        "SELECT 'shop:' || id, name, timezone, created_at, updated_at FROM shops"
    )
    op.execute(
        "INSERT INTO tenants (key, name, created_at, updated_at) "
        "SELECT 'customer:' || id, name, created_at, updated_at FROM customers"
    )


def _tell_apart_opt_outs() -> None:
    op.drop_index("ix_opt_outs_valid_address", "opt_outs")
    for name, value, length in (
        ("tenant", "*", 64),
        ("channel", "*", 16),
        ("stops", "all", 16),
        ("door", "*", 300),
    ):
        op.add_column("opt_outs", _named(name, value, length))
    op.add_column("opt_outs", sa.Column("whole_person", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("opt_outs", sa.Column("ended_by", sa.String(300), nullable=True))
    op.execute("UPDATE opt_outs SET door = 'api' WHERE source <> 'reply'")
    _canonical_addresses()
    op.create_index(
        "ix_opt_outs_valid",
        "opt_outs",
        ["address", "tenant", "channel", "stops", "door"],
        unique=True,
        sqlite_where=_HOLDS,
        postgresql_where=_HOLDS,
    )
    op.create_index("ix_opt_outs_unsure", "opt_outs", ["id"], sqlite_where=_UNSURE, postgresql_where=_UNSURE)


def _canonical_addresses() -> None:
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT id, address, ended_at FROM opt_outs WHERE address LIKE '+%' ORDER BY id")
    ).all()
    held = {row.address for row in rows if row.ended_at is None}
    for row in rows:
        address = canonical_number(row.address)
        if address == row.address or (row.ended_at is None and address in held):
            continue
        if row.ended_at is None:
            held.add(address)
        connection.execute(
            sa.text("UPDATE opt_outs SET address = :address WHERE id = :id"), {"address": address, "id": row.id}
        )


def _tell_apart_replies() -> None:
    with op.batch_alter_table("replies") as batch:
        batch.add_column(sa.Column("door", sa.String(300), nullable=True))
        batch.add_column(sa.Column("channel", sa.String(16), nullable=True))
        batch.add_column(_named("tenant", "installation"))
        batch.add_column(sa.Column("unsure", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE replies SET door = provider")
    op.execute(f"UPDATE replies SET tenant = {_OF_SHOP.format(table='replies')} WHERE kind = 'shop-message'")
    with op.batch_alter_table("replies") as batch:
        batch.alter_column("door", existing_type=sa.String(300), nullable=False)
        batch.drop_constraint("uq_replies_provider_provider_message_id", type_="unique")
        batch.create_unique_constraint("uq_replies_door_provider_message_id", ["door", "provider_message_id"])


def _named(name: str, value: str, length: int = 64) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=value)


def downgrade() -> None:
    op.drop_column("chatbots", "keywords")
    for table in ("notices", "ai_usage"):
        op.drop_column(table, "tenant")
    with op.batch_alter_table("replies") as batch:
        batch.drop_constraint("uq_replies_door_provider_message_id", type_="unique")
        batch.create_unique_constraint("uq_replies_provider_provider_message_id", ["provider", "provider_message_id"])
        for name in ("door", "channel", "tenant", "unsure"):
            batch.drop_column(name)
    op.drop_index("ix_deliveries_address", "deliveries")
    for name in ("account", "tenant", "address"):
        op.drop_column("deliveries", name)
    op.drop_index("ix_consents_contact_id_channel_tenant", "consents")
    for table in ("consents", "admissions"):
        op.execute(f"UPDATE {table} SET tenant = '' WHERE tenant = 'installation'")
        op.execute(f"ALTER TABLE {table} RENAME COLUMN tenant TO scope")
    op.create_index("ix_consents_contact_id_channel_scope", "consents", ["contact_id", "channel", "scope"])
    op.drop_index("ix_opt_outs_unsure", "opt_outs")
    op.drop_index("ix_opt_outs_valid", "opt_outs")
    # One address may have several now; the first one that stops everything stays.
    op.execute(
        "UPDATE opt_outs SET ended_at = opted_out_at WHERE ended_at IS NULL AND (stops <> 'all' OR EXISTS (SELECT 1 "
        "FROM opt_outs AS other WHERE other.address = opt_outs.address AND other.ended_at IS NULL "
        "AND other.stops = 'all' AND other.id < opt_outs.id))"
    )
    for name in ("tenant", "channel", "stops", "door", "whole_person", "ended_by"):
        op.drop_column("opt_outs", name)
    op.create_index(
        "ix_opt_outs_valid_address",
        "opt_outs",
        ["address"],
        unique=True,
        sqlite_where=_HOLDS,
        postgresql_where=_HOLDS,
    )
    op.drop_table("tenants")
