"""Columns that every table of messages has."""

from __future__ import annotations

import sqlalchemy as sa

from tidings.db.base import BigId, UtcDateTime


def message_columns() -> list[sa.Column[object]]:
    """A message's id, its time, where it stands and who holds it; new ones for each table."""
    return [
        sa.Column("id", BigId, nullable=False),
        sa.Column("scheduled_time", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_reason", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("held_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
    ]
