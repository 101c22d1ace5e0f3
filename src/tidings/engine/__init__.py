"""Queues and workers on BullMQ. This package knows jobs, not messages."""

from tidings.engine.worker import RateLimitError, Worker

__all__ = ["RateLimitError", "Worker"]
