"""Queues and workers on BullMQ. This package knows jobs, not messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidings.engine.worker import Batch, RateLimitError, Worker

__all__ = ["Batch", "RateLimitError", "Worker"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: whoever only declares jobs does without BullMQ.
    if name in __all__:
        from tidings.engine import worker

        return getattr(worker, name)
    raise AttributeError(f"module 'tidings.engine' has no attribute {name!r}")
