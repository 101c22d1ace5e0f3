"""Replies that came in before they were marked are marked by what was done about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from tidings.db import migrate
from tidings.db.database import open_database

pytestmark = pytest.mark.both_databases

ROW = text(
    "INSERT INTO replies (id, provider, door, provider_message_id, sender, text, received_at, action_taken, unsure, "
    "created_at) VALUES (:id, 'n8n', 'n8n', :id_there, '+12125550123', 'x', :at, :done, :unsure, :at)"
)
DONE = {1: "reply_recorded", 2: "needs_person", 3: "sender_unreadable", 4: "opted_out", 5: "unsure"}


async def test_those_that_need_a_person_are_marked(empty_database_url: str) -> None:
    database, now = open_database(empty_database_url), datetime.now(UTC)
    async with database.writer.begin() as connection:

        async def go(step: Callable[..., None], revision: str) -> None:
            await connection.run_sync(lambda conn: step(migrate._config(conn), revision))

        await go(command.upgrade, "0006")
        rows: list[dict[str, Any]] = [
            {"id": key, "id_there": f"in-{key}", "at": now, "done": done, "unsure": done == "unsure"}
            for key, done in DONE.items()
        ]
        await connection.execute(ROW, rows)
        await go(command.upgrade, "0007")
        found = await connection.execute(text("SELECT id FROM replies WHERE needs_person ORDER BY id"))
        marked = [row.id for row in found]
    await database.close()
    assert marked == [2, 3, 5]
