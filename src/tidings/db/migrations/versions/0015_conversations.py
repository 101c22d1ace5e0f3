"""Conversations know WhatsApp's id of their user beside the phone number, and why a person is to answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("user_id", sa.String(255), nullable=True))
    op.add_column("conversations", sa.Column("taken_over_reason", sa.String(500), nullable=True))
    op.execute(
        "UPDATE conversations SET user_id = external_user_id "
        "WHERE channel = 'whatsapp_cloud' AND external_user_id NOT LIKE '+%' AND external_user_id NOT LIKE 'erased:%'"
    )
    op.create_index(
        "ix_conversations_chatbot_id_channel_user_id",
        "conversations",
        ["chatbot_id", "channel", "user_id"],
        unique=True,
    )
    op.create_index("ix_conversations_user_id", "conversations", ["user_id"])


def downgrade() -> None:
    op.drop_index("ix_conversations_user_id", "conversations")
    op.drop_index("ix_conversations_chatbot_id_channel_user_id", "conversations")
    op.drop_column("conversations", "taken_over_reason")
    op.drop_column("conversations", "user_id")
