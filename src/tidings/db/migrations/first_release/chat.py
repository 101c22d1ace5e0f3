"""Chatbots, conversations, and knowledge with its full-text index."""

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, Json, UtcDateTime
from tidings.db.migrations.first_release.columns import message_columns

SEARCH = "knowledge_search"

FTS5 = (
    f"CREATE VIRTUAL TABLE {SEARCH} USING fts5(terms, content='knowledge_items', content_rowid='id')",
    f"""CREATE TRIGGER {SEARCH}_insert AFTER INSERT ON knowledge_items BEGIN
        INSERT INTO {SEARCH}(rowid, terms) VALUES (new.id, new.terms); END""",
    f"""CREATE TRIGGER {SEARCH}_delete AFTER DELETE ON knowledge_items BEGIN
        INSERT INTO {SEARCH}({SEARCH}, rowid, terms) VALUES ('delete', old.id, old.terms); END""",
    f"""CREATE TRIGGER {SEARCH}_update AFTER UPDATE OF terms ON knowledge_items BEGIN
        INSERT INTO {SEARCH}({SEARCH}, rowid, terms) VALUES ('delete', old.id, old.terms);
        INSERT INTO {SEARCH}(rowid, terms) VALUES (new.id, new.terms); END""",
)
"""SQLite: an index over the rows' terms, which triggers keep."""

TSVECTOR = (
    f"ALTER TABLE knowledge_items ADD COLUMN {SEARCH} tsvector"
    " GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, terms)) STORED",
    f"CREATE INDEX {SEARCH}_terms ON knowledge_items USING gin ({SEARCH})",
)
"""PostgreSQL: the same as a column that the database generates, and its index."""


def create() -> None:
    op.create_table(
        "knowledge_bases",
        sa.Column("id", BigId, nullable=False),
        sa.Column("customer_id", BigId, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_knowledge_bases_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_bases")),
    )
    op.create_index("ix_knowledge_bases_customer_id", "knowledge_bases", ["customer_id"])
    op.create_table(
        "chatbots",
        sa.Column("id", BigId, nullable=False),
        sa.Column("customer_id", BigId, nullable=False),
        sa.Column("knowledge_base_id", BigId, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("temperature", sa.Double(), nullable=True),
        sa.Column("fallback_message", sa.Text(), nullable=True),
        sa.Column("debounce", sa.Double(), nullable=False),
        sa.Column("human_takeover", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("widget_key", sa.String(length=64), nullable=False),
        sa.Column("allowed_origins", Json, nullable=False),
        sa.Column("widget", Json, nullable=False),
        sa.Column("whatsapp_template", Json, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_chatbots_customer_id")),
        sa.ForeignKeyConstraint(
            ["knowledge_base_id"], ["knowledge_bases.id"], name=op.f("fk_chatbots_knowledge_base_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chatbots")),
        sa.UniqueConstraint("widget_key", name=op.f("uq_chatbots_widget_key")),
    )
    op.create_index("ix_chatbots_customer_id", "chatbots", ["customer_id"])
    op.create_table(
        "knowledge_items",
        sa.Column("id", BigId, nullable=False),
        sa.Column("knowledge_base_id", BigId, nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=True),
        sa.Column("embedding_model", sa.String(length=100), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["knowledge_base_id"], ["knowledge_bases.id"], name=op.f("fk_knowledge_items_knowledge_base_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_items")),
    )
    op.create_index("ix_knowledge_items_knowledge_base_id", "knowledge_items", ["knowledge_base_id"])
    op.create_table(
        "conversations",
        sa.Column("id", BigId, nullable=False),
        sa.Column("chatbot_id", BigId, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("external_user_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("via", sa.String(length=255), nullable=True),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("answered_turn", sa.Integer(), nullable=False),
        sa.Column("answer_by", UtcDateTime(), nullable=True),
        sa.Column("answer_due", UtcDateTime(), nullable=True),
        sa.Column("taken_over_at", UtcDateTime(), nullable=True),
        sa.Column("taken_over_by", sa.String(length=200), nullable=True),
        sa.Column("last_message_at", UtcDateTime(), nullable=True),
        sa.Column("last_user_message_at", UtcDateTime(), nullable=True),
        sa.Column("details", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["chatbot_id"], ["chatbots.id"], name=op.f("fk_conversations_chatbot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sa.UniqueConstraint(
            "chatbot_id",
            "channel",
            "external_user_id",
            name=op.f("uq_conversations_chatbot_id_channel_external_user_id"),
        ),
    )
    op.create_index("ix_conversations_answer_due", "conversations", ["answer_due"])
    op.create_index("ix_conversations_chatbot_id_last_message_at", "conversations", ["chatbot_id", "last_message_at"])
    op.create_table(
        "usage_logs",
        sa.Column("id", BigId, nullable=False),
        sa.Column("customer_id", BigId, nullable=False),
        sa.Column("chatbot_id", BigId, nullable=False),
        sa.Column("message_id", BigId, nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=True),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["chatbot_id"], ["chatbots.id"], name=op.f("fk_usage_logs_chatbot_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_usage_logs_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_logs")),
    )
    op.create_index("ix_usage_logs_customer_id_at", "usage_logs", ["customer_id", "at"])
    op.create_index("ix_usage_logs_message_id", "usage_logs", ["message_id"])
    op.create_table(
        "whatsapp_cloud_accounts",
        sa.Column("id", BigId, nullable=False),
        sa.Column("customer_id", BigId, nullable=False),
        sa.Column("chatbot_id", BigId, nullable=False),
        sa.Column("phone_number_id", sa.String(length=32), nullable=False),
        sa.Column("waba_id", sa.String(length=32), nullable=True),
        sa.Column("access_token", sa.Text(), nullable=False),
        sa.Column("app_secret", sa.Text(), nullable=False),
        sa.Column("verify_token", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["chatbot_id"], ["chatbots.id"], name=op.f("fk_whatsapp_cloud_accounts_chatbot_id")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_whatsapp_cloud_accounts_customer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_whatsapp_cloud_accounts")),
        sa.UniqueConstraint("phone_number_id", name=op.f("uq_whatsapp_cloud_accounts_phone_number_id")),
    )
    op.create_index("ix_whatsapp_cloud_accounts_chatbot_id", "whatsapp_cloud_accounts", ["chatbot_id"])
    op.create_index("ix_whatsapp_cloud_accounts_customer_id", "whatsapp_cloud_accounts", ["customer_id"])
    op.create_table(
        "whatsapp_qr_sessions",
        sa.Column("id", BigId, nullable=False),
        sa.Column("customer_id", BigId, nullable=False),
        sa.Column("chatbot_id", BigId, nullable=False),
        sa.Column("session_id", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("webhook_secret", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["chatbot_id"], ["chatbots.id"], name=op.f("fk_whatsapp_qr_sessions_chatbot_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_whatsapp_qr_sessions_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_whatsapp_qr_sessions")),
        sa.UniqueConstraint("session_id", name=op.f("uq_whatsapp_qr_sessions_session_id")),
    )
    op.create_index("ix_whatsapp_qr_sessions_chatbot_id", "whatsapp_qr_sessions", ["chatbot_id"])
    op.create_index("ix_whatsapp_qr_sessions_customer_id", "whatsapp_qr_sessions", ["customer_id"])
    op.create_table(
        "messages",
        sa.Column("conversation_id", BigId, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=True),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("queue", sa.String(length=32), nullable=False),
        sa.Column("delivery_status", sa.String(length=16), nullable=True),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        *message_columns(),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], name=op.f("fk_messages_conversation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("conversation_id", "external_id", name=op.f("uq_messages_conversation_id_external_id")),
    )
    op.create_index("ix_messages_conversation_id_status", "messages", ["conversation_id", "status"])
    op.create_index("ix_messages_status_scheduled_time", "messages", ["status", "scheduled_time"])

    connection = op.get_bind()
    for statement in FTS5 if connection.dialect.name == "sqlite" else TSVECTOR:
        connection.exec_driver_sql(statement)
