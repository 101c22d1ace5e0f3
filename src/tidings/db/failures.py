"""Provisional."""

from __future__ import annotations

from tidings.db.database import is_away


def is_passing(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    return (
        (isinstance(error, Exception) and is_away(error))
        or str(state or "")[:2] in ("40", "53", "08", "57")
        or state == "55P03"
    )


__all__ = ["is_away", "is_passing"]
