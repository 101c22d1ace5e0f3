"""How large everything is: memory of the worker and of Redis, tables and their indexes."""

from __future__ import annotations

from typing import Any, Self

import asyncpg

TABLES = ("event_messages", "deliveries")

GROWTH = {
    "worker": "MB",
    "Redis": "MB",
    **{f"{table} {what}": unit for table in TABLES for what, unit in (("table", "B/row"), ("indexes", "B/row"))},
    "dead": "rows",
    "HOT": "%",
    "vacuums": "so far",
}

_SIZES = """
    SELECT relname, pg_table_size(relid) AS heap, pg_indexes_size(relid) AS indexes, n_dead_tup, n_tup_upd,
           n_tup_hot_upd, autovacuum_count, (SELECT count(*) FROM {table}) AS rows
    FROM pg_stat_user_tables WHERE relname = '{table}'
"""


class Sizes:
    """Asks PostgreSQL at `address`: `async with Sizes(address) as sizes`."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __aenter__(self) -> Self:
        self._session: asyncpg.Connection[Any] = await asyncpg.connect(self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def figures(self) -> dict[str, float]:
        """Bytes a row of each table and its indexes, rows that were changed or deleted and are still there, the share
        of changes that touched no index, and how often PostgreSQL cleaned up."""
        found: dict[str, float] = {"dead": 0.0, "vacuums": 0.0}
        for table in TABLES:
            row = await self._session.fetchrow(_SIZES.format(table=table))
            assert row is not None
            rows = max(row["rows"], 1)
            found[f"{table} table"], found[f"{table} indexes"] = row["heap"] / rows, row["indexes"] / rows
            found["dead"] += row["n_dead_tup"]
            found["vacuums"] += row["autovacuum_count"]
            if table == "event_messages":
                found["HOT"] = 100 * row["n_tup_hot_upd"] / max(row["n_tup_upd"], 1)
        return found
