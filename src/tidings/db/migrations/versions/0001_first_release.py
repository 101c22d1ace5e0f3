"""Every table of the first release."""

from tidings.db.migrations.first_release import (
    automations,
    chat,
    contacts,
    customers,
    events,
    followups,
    messages,
    proactive,
    shops,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for subject in (contacts, messages, events, followups, proactive, shops, automations, customers, chat):
        subject.create()
