"""Conversations of before are found by WhatsApp's id of their user where that is what they stand under."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import text

from tidings.db import migrate
from tidings.db.database import open_database

pytestmark = pytest.mark.both_databases

THEN = "'2026-11-01 12:00:00+00:00'"
HIDDEN = "US.13491208655302741918"
USERS = {
    1: ("whatsapp_cloud", "+16505551234"),
    2: ("whatsapp_cloud", HIDDEN),
    3: ("whatsapp_cloud", "erased:3"),
    4: ("whatsapp_qr", "123456789@lid"),
    5: ("widget", "visitor-of-this-test"),
}
BEFORE = (
    f"INSERT INTO customers (id, name, created_at, updated_at) VALUES (1, 'Acme', {THEN}, {THEN})",
    "INSERT INTO chatbots (id, customer_id, name, system_prompt, debounce, human_takeover, keywords, active, "
    "widget_key, allowed_origins, widget, created_at, updated_at) VALUES "
    f"(1, 1, 'Bot', '', 1.0, false, false, true, 'wk_1', '[]', '{{}}', {THEN}, {THEN})",
    *(
        "INSERT INTO conversations (id, chatbot_id, channel, external_user_id, turn, answered_turn, details, "
        f"created_at, updated_at) VALUES ({number}, 1, '{channel}', '{user}', 0, 0, '{{}}', {THEN}, {THEN})"
        for number, (channel, user) in USERS.items()
    ),
)


async def test_who_hid_the_number_has_the_id_and_what_a_chatbot_waited_for_stays(empty_database_url: str) -> None:
    database = open_database(empty_database_url)
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda conn: command.upgrade(migrate._config(conn), "0010"))
        for statement in BEFORE:
            await connection.execute(text(statement))
        await connection.run_sync(lambda conn: command.upgrade(migrate._config(conn), "0015"))
        rows = await connection.execute(text("SELECT id, user_id, taken_over_reason FROM conversations ORDER BY id"))
        assert [tuple(row) for row in rows] == [(n, HIDDEN if n == 2 else None, None) for n in USERS]
        assert await connection.scalar(text("SELECT debounce FROM chatbots")) == 1.0
    await database.close()
