"""Many messages and lines of the ledger, made in the database itself as copies of one that Tidings wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

APART = "interval '5 minutes'"
"""From one message to the next, whatever their number: what is due soon is the same beside few and beside many."""

_COLUMNS = """
    SELECT quote_ident(column_name) FROM information_schema.columns
    WHERE table_name = $1 AND column_name <> 'id' AND is_generated = 'NEVER'
"""


async def fill(session: asyncpg.Connection[Any], messages: int, people: int) -> None:
    """Adds that many scheduled messages and as many lines, of which one each is there already."""
    spread = f"now() + interval '10 minutes' + number * {APART}"
    new = {
        "contractor_id": f"1 + number % {people}",
        "session_key": "'copy-' || number",
        "scheduled_time": f"date_trunc('milliseconds', {spread})",
    }
    await _copy(session, "event_messages", "status = 'scheduled'", new, messages)
    past = {
        "message_id": "1000000000 + number",
        "contact_id": f"1 + number % {people}",
        "at": f"now() - number * {APART}",
    }
    await _copy(session, "deliveries", "outcome = 'sent'", past, messages)
    await session.execute("VACUUM ANALYZE")
    await session.execute("CHECKPOINT")


async def _copy(
    session: asyncpg.Connection[Any], table: str, pattern: str, new: Mapping[str, str], copies: int
) -> None:
    names = [name for (name,) in await session.fetch(_COLUMNS, table)]
    values = ", ".join(new.get(name, f"one.{name}") for name in names)
    await session.execute(
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} "
        f"FROM (SELECT * FROM {table} WHERE {pattern} LIMIT 1) AS one, generate_series(1, {copies}) AS number"
    )
