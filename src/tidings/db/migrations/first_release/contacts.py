"""Contacts, and what the gate goes by: opt-outs, consents, trust, and places in frequency caps."""

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, UtcDateTime


def create() -> None:
    op.create_table(
        "contractors",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=True),
        sa.Column("last_name", sa.String(length=100), nullable=True),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("company_name", sa.String(length=200), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("ghl_contact_id", sa.String(length=64), nullable=True),
        sa.Column("ghl_location_id", sa.String(length=64), nullable=True),
        sa.Column("vip", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contractors")),
        sa.UniqueConstraint("email", name=op.f("uq_contractors_email")),
        sa.UniqueConstraint("phone", name=op.f("uq_contractors_phone")),
    )
    op.create_table(
        "opt_outs",
        sa.Column("id", BigId, nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("contact_id", BigId, nullable=True),
        sa.Column("opted_out_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name=op.f("fk_opt_outs_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_outs")),
    )
    op.create_index("ix_opt_outs_contact_id", "opt_outs", ["contact_id"])
    op.create_index(
        "ix_opt_outs_valid_address",
        "opt_outs",
        ["address"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "consents",
        sa.Column("id", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name=op.f("fk_consents_contact_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_contact_id_channel_scope", "consents", ["contact_id", "channel", "scope"])
    op.create_table(
        "contact_trust",
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contractors.id"], name=op.f("fk_contact_trust_contact_id")),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_contact_trust")),
    )
    op.create_table(
        "admissions",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message_id", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "message_id", name=op.f("pk_admissions")),
    )
    op.create_index("ix_admissions_contact_id_at", "admissions", ["contact_id", "at"])
