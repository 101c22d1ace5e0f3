"""Database engines that share what SQLAlchemy has compiled.

Every test opens engines of its own. By themselves they would compile every statement anew, which took a seventh of a
run's time; an application opens its engines once.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_dialects: dict[str, Dialect] = {}
_compiled: dict[Any, Any] = {}


def create_sharing_engine(*address: Any, **options: Any) -> AsyncEngine:
    """`create_async_engine`, sharing one dialect of each kind and the statements compiled for it."""
    engine = create_async_engine(*address, **options)
    known = _dialects.get(engine.dialect.name)
    if known is None or known.server_version_info is None:  # none that was connected yet
        _dialects[engine.dialect.name] = engine.dialect
    else:
        engine.sync_engine.dialect = known
    engine.sync_engine.update_execution_options(compiled_cache=_compiled)
    return engine
