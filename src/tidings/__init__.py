"""Tidings: every message, at its exact time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidings.client import Tidings

__all__ = ["Tidings"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `tidings.engine` can be used without the rest of the house.
    if name == "Tidings":
        from tidings.client import Tidings

        return Tidings
    raise AttributeError(f"module 'tidings' has no attribute {name!r}")
