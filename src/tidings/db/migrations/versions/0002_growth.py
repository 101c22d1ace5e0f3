"""Indexes for tables that have grown: one over open messages in the place of two over all of them.

Nearly every message has ended, and a status in an index is written anew with each change of any column. The partial
index has only the rows that are still to go out, so it stays small and an ended message never touches it again.

Indexes that leave out NULLs take the place of those with the same name. On PostgreSQL CREATE INDEX keeps writers of
its table out until the upgrade is committed; CONCURRENTLY would let them in, but it cannot run in the transaction
that makes an upgrade happen whole or not at all, and an upgrade is done while nothing runs. Before a very large one
the new indexes may be made by hand with CONCURRENTLY: one that is there already is left as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPEN = "status IN ('scheduled', 'sending')"
WAITING = "status = 'waiting'"
RECEIVED = "status = 'received'"

NEW: tuple[tuple[str, str, tuple[str, ...], str | None], ...] = (
    ("ix_event_messages_scheduled_time_id", "event_messages", ("scheduled_time", "id"), OPEN),
    (
        "ix_contractor_followup_schedules_scheduled_time_id",
        "contractor_followup_schedules",
        ("scheduled_time", "id"),
        OPEN,
    ),
    ("ix_ai_proactive_messages_scheduled_time_id", "ai_proactive_messages", ("scheduled_time", "id"), OPEN),
    ("ix_ai_proactive_messages_waiting", "ai_proactive_messages", ("scheduled_time", "id"), WAITING),
    ("ix_shop_messages_scheduled_time_id", "shop_messages", ("scheduled_time", "id"), OPEN),
    ("ix_messages_scheduled_time_id", "messages", ("scheduled_time", "id"), OPEN),
    ("ix_messages_updated_at", "messages", ("updated_at",), WAITING),
    ("ix_messages_created_at", "messages", ("created_at",), RECEIVED),
    ("ix_webhook_events_scheduled_time_id", "webhook_events", ("scheduled_time", "id"), OPEN),
    ("ix_notices_scheduled_time_id", "notices", ("scheduled_time", "id"), OPEN),
    ("ix_event_messages_failed", "event_messages", ("scheduled_time",), "status = 'failed'"),
    (
        "ix_contractor_followup_schedules_updated_at",
        "contractor_followup_schedules",
        ("updated_at",),
        "status = 'skipped'",
    ),
    (
        "ix_shop_webhook_events_unfinished",
        "shop_webhook_events",
        ("received_at",),
        "evaluated_at IS NULL AND error IS NULL",
    ),
    ("ix_notices_contact_id", "notices", ("contact_id",), None),
    ("ix_notices_address", "notices", ("address",), None),
    ("ix_opt_outs_address", "opt_outs", ("address",), None),
    ("ix_replies_sender", "replies", ("sender",), None),
    ("ix_admissions_at", "admissions", ("at",), None),
)

OLD: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("ix_event_messages_scheduled_time", "event_messages", ("scheduled_time",)),
    ("ix_event_messages_status", "event_messages", ("status",)),
    ("ix_contractor_followup_schedules_scheduled_time", "contractor_followup_schedules", ("scheduled_time",)),
    ("ix_contractor_followup_schedules_status", "contractor_followup_schedules", ("status",)),
    ("ix_ai_proactive_messages_status_scheduled_time", "ai_proactive_messages", ("status", "scheduled_time")),
    ("ix_shop_messages_status_scheduled_time", "shop_messages", ("status", "scheduled_time")),
    ("ix_messages_status_scheduled_time", "messages", ("status", "scheduled_time")),
    ("ix_webhook_events_status_scheduled_time", "webhook_events", ("status", "scheduled_time")),
    ("ix_notices_status", "notices", ("status",)),
    ("ix_shop_webhook_events_evaluated_at", "shop_webhook_events", ("evaluated_at",)),
)

WITHOUT_NULLS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "ix_shop_messages_campaign_id_status_scheduled_time",
        "shop_messages",
        ("campaign_id", "status", "scheduled_time"),
        "campaign_id IS NOT NULL",
    ),
    (
        "ix_shop_messages_automation_id_status",
        "shop_messages",
        ("automation_id", "status"),
        "automation_id IS NOT NULL",
    ),
    ("ix_shop_messages_shop_id_goal_key", "shop_messages", ("shop_id", "goal_key"), "goal_key IS NOT NULL"),
    ("ix_shop_messages_sent_at", "shop_messages", ("sent_at",), "sent_at IS NOT NULL"),
    (
        "ix_contractor_followup_schedules_sent_at",
        "contractor_followup_schedules",
        ("sent_at",),
        "sent_at IS NOT NULL",
    ),
    ("ix_ai_proactive_messages_silence_due", "ai_proactive_messages", ("silence_due",), "silence_due IS NOT NULL"),
)
"""Indexes that leave out the rows which have nothing there: those need not write them with each change."""


def upgrade() -> None:
    for name, table, columns, condition in NEW:
        where = sa.text(condition) if condition else None
        op.create_index(name, table, list(columns), sqlite_where=where, postgresql_where=where, if_not_exists=True)
    for name, table, _ in OLD:
        op.drop_index(name, table)
    for name, table, columns, condition in WITHOUT_NULLS:
        op.drop_index(name, table)
        where = sa.text(condition)
        op.create_index(name, table, list(columns), sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, columns in OLD:
        op.create_index(name, table, list(columns))
    for name, table, _, _ in NEW:
        op.drop_index(name, table)
    for name, table, columns, _ in WITHOUT_NULLS:
        op.drop_index(name, table)
        op.create_index(name, table, list(columns))
