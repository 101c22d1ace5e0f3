"""The punctual worker: a drop-in `bullmq.Worker`."""

from tidings.engine.worker.concluding import RateLimitError
from tidings.engine.worker.worker import Worker

__all__ = ["RateLimitError", "Worker"]
