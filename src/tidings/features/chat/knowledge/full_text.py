"""Full-text search over the knowledge, by the means of each database: FTS5 in SQLite, tsvector in PostgreSQL.

Both index the same column of terms (`rules.words`), so both find the same items. The index is made by the migration
0006 and kept by the database itself, whoever writes the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

INDEX = "knowledge_search"
"""The table of SQLite's index, with further ones that begin with its name; in PostgreSQL, a column and its index."""

_FIND_SQLITE = f"""
    SELECT rowid FROM {INDEX}
    WHERE {INDEX} MATCH :query AND rowid IN (SELECT id FROM knowledge_items WHERE knowledge_base_id = :base)
    ORDER BY bm25({INDEX}), rowid LIMIT :most"""
_FIND_POSTGRESQL = f"""
    SELECT id FROM knowledge_items
    WHERE knowledge_base_id = :base AND {INDEX} @@ to_tsquery('simple', :query)
    ORDER BY ts_rank({INDEX}, to_tsquery('simple', :query), 1) DESC, id LIMIT :most"""


async def find_items(session: AsyncSession, knowledge_base_id: int, terms: Iterable[str], most: int) -> Sequence[int]:
    """The ids of items of one knowledge base that hold any of the terms, at most `most`, the likeliest first."""
    words = sorted(set(terms))
    if not words:
        return ()
    sqlite = session.get_bind().dialect.name == "sqlite"
    # A term is letters and digits only; quoted it is no operator of either language.
    query = " OR ".join(f'"{word}"' for word in words) if sqlite else " | ".join(f"'{word}'" for word in words)
    rows = await session.execute(
        text(_FIND_SQLITE if sqlite else _FIND_POSTGRESQL),
        {"query": query, "base": knowledge_base_id, "most": most},
    )
    return list(rows.scalars())
