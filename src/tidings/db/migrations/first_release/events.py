"""Events with their agendas, registrations and messages."""

import sqlalchemy as sa
from alembic import op

from tidings.db.base import BigId, Json, UtcDateTime
from tidings.db.migrations.first_release.columns import message_columns


def create() -> None:
    op.create_table(
        "events",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=True),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("location", sa.String(length=300), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("start_time", UtcDateTime(), nullable=False),
        sa.Column("end_time", UtcDateTime(), nullable=False),
        sa.Column("agenda_version", sa.Integer(), nullable=False),
        sa.Column("planned_version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("slug", name=op.f("uq_events_slug")),
    )
    op.create_index("ix_events_status", "events", ["status"])
    op.create_table(
        "agenda_sessions",
        sa.Column("id", BigId, nullable=False),
        sa.Column("event_id", BigId, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("speaker", sa.String(length=300), nullable=True),
        sa.Column("sponsor", sa.String(length=300), nullable=True),
        sa.Column("room", sa.String(length=200), nullable=True),
        sa.Column("start_time", UtcDateTime(), nullable=False),
        sa.Column("end_time", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_agenda_sessions_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agenda_sessions")),
        sa.UniqueConstraint("event_id", "key", name=op.f("uq_agenda_sessions_event_id_key")),
    )
    op.create_table(
        "event_messages",
        sa.Column("event_id", BigId, nullable=False),
        sa.Column("contractor_id", BigId, nullable=False),
        sa.Column("message_type", sa.String(length=64), nullable=False),
        sa.Column("message_category", sa.String(length=16), nullable=False),
        sa.Column("session_key", sa.String(length=64), nullable=False),
        sa.Column("actual_send_time", UtcDateTime(), nullable=True),
        sa.Column("message_content", sa.Text(), nullable=True),
        sa.Column(
            "personalization_data",
            Json,
            nullable=False,
        ),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("response_received", sa.Text(), nullable=True),
        sa.Column("response_time", UtcDateTime(), nullable=True),
        sa.Column("sentiment_score", sa.Double(), nullable=True),
        sa.Column("pcr_score", sa.Integer(), nullable=True),
        sa.Column("action_taken", sa.String(length=64), nullable=True),
        sa.Column("ghl_contact_id", sa.String(length=64), nullable=True),
        sa.Column("ghl_message_id", sa.String(length=64), nullable=True),
        sa.Column("ghl_location_id", sa.String(length=64), nullable=True),
        sa.Column("delay_minutes", sa.Double(), nullable=True),
        *message_columns(),
        sa.ForeignKeyConstraint(["contractor_id"], ["contractors.id"], name=op.f("fk_event_messages_contractor_id")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_event_messages_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_messages")),
    )
    op.create_index("ix_event_messages_contractor_id", "event_messages", ["contractor_id"])
    op.create_index(
        "ix_event_messages_deduplication",
        "event_messages",
        ["event_id", "contractor_id", "message_type", "session_key"],
        unique=True,
    )
    op.create_index("ix_event_messages_scheduled_time", "event_messages", ["scheduled_time"])
    op.create_index("ix_event_messages_status", "event_messages", ["status"])
    op.create_table(
        "event_registrations",
        sa.Column("id", BigId, nullable=False),
        sa.Column("event_id", BigId, nullable=False),
        sa.Column("contractor_id", BigId, nullable=False),
        sa.Column("session_keys", Json, nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.Column("profile_completed_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contractor_id"], ["contractors.id"], name=op.f("fk_event_registrations_contractor_id")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_event_registrations_event_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_registrations")),
        sa.UniqueConstraint("event_id", "contractor_id", name=op.f("uq_event_registrations_event_id_contractor_id")),
    )
    op.create_index("ix_event_registrations_contractor_id", "event_registrations", ["contractor_id"])
