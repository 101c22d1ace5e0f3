"""The order in which transactions lock rows, so that no two of them wait for each other.

Two transactions that lock the same two rows the other way round wait for ever; PostgreSQL ends one of them after a
second, and whoever asked for it gets an error. So everybody locks table by table in the order of `LOCK_ORDER`, and
the rows of a table in order of id. SELECT … FOR UPDATE, UPDATE and DELETE lock; an INSERT locks nothing that others
see. SQLite has one writer at a time and never gets that far, but its tests show the order all the same.

A row that others refer to is locked with `key_share=True`, unless it is to be deleted: then whoever adds one of those
need not wait. With `skip_locked` nobody waits, so that may come at any time; what it has locked counts for what comes
after.

`tests/support/locks.py` watches the order in every test.
"""

from __future__ import annotations

from collections.abc import Mapping

LOCK_ORDER: tuple[str, ...] = (
    # By itself, when a process starts.
    "vault_keys",
    # What belongs to a customer or a contact; hardly ever locked with anything else.
    "plans",
    "customers",
    "knowledge_bases",
    "knowledge_items",
    "chatbots",
    "whatsapp_cloud_accounts",
    "contractor_goals",
    "contractor_checklist_items",
    "contractor_action_items",
    "followup_experiments",
    # What messages are planned from.
    "events",
    "agenda_sessions",
    "event_registrations",
    "shop_webhook_events",
    "shop_ignored_topics",
    "shops",
    "tenants",
    "shop_automations",
    "shop_segments",
    "shop_campaigns",
    "shop_sign_ups",
    "shop_test_numbers",
    "shop_orders",
    "shop_customers",
    "shop_data_exports",
    "shop_daily_reports",
    "dead_letters",
    "consents",
    # Messages.
    "event_messages",
    "contractor_followup_schedules",
    "ai_proactive_messages",
    "shop_messages",
    "messages",
    "webhook_events",
    # What follows from a message's end or answer.
    "whatsapp_qr_sessions",
    "deliveries",
    "notices",
    "conversations",
    "webhook_endpoints",
    # The person, after the messages to them. Whoever counts in somebody's caps holds these before, by a lock of their
    # own (`hold_caps`), so that a change of many people delays no message to one of them.
    "contractors",
    "contact_addresses",
    "contact_words",
    "opt_outs",
    "contact_trust",
    "admissions",
    "replies",
    "contact_merges",
    "contact_merge_moves",
    # Only ever added to.
    "correspondents",
    "usage_logs",
    "ai_usage",
    "contact_erasures",
)
"""Every table, the one that is locked first at the beginning."""

EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("contact_merges", "replies"): "by a shop's erasure, which holds the contacts that were merged",
    ("contact_merge_moves", "replies"): "by a shop's erasure, which holds the contacts that were merged",
    ("contractors", "event_registrations"): "a registration is only locked by whoever holds its event",
    ("contractors", "event_messages"): "a claim locks no contact",
    ("deliveries", "messages"): "a line is locked by whoever holds its message, and then comes the next message",
    ("shop_messages", "shop_campaigns"): "the messages have failed, and who holds a campaign waits for none of those",
}
"""Tables that are locked after one which stands behind them, and why that stops nobody: (held, then locked)."""

GUARDED: Mapping[tuple[str, str], str] = {
    ("conversations", "messages"): "a message that waits is only locked by whoever holds its conversation",
}
"""Rows that nobody else can want: (held, then locked). They may come after any other rows of their table as well."""

IN_NO_ORDER: Mapping[str, str] = {
    "agenda_sessions": "by whoever holds their event",
    "event_registrations": "by whoever holds their event",
    "shop_webhook_events": "by an erasure beside its own one; of two that wait for each other one is tried again",
    "shop_daily_reports": "by whoever holds their shop",
    "consents": "by an erasure only; others add them",
    "deliveries": "by whoever holds their message",
    "contact_trust": "by an erasure only, which holds the contacts; others lock one",
    "admissions": "by whoever holds their message or their contact",
    "replies": "by an erasure only; others add them",
    "contact_merge_moves": "by whoever undoes their merge; others add them",
}
"""Tables of which several rows are locked in no order, and by whom, so that nobody is stopped."""
