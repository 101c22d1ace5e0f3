"""The punctual worker: a drop-in `bullmq.Worker`."""

from tidings.engine.worker.batch import Batch
from tidings.engine.worker.concluding import RateLimitError
from tidings.engine.worker.worker import Worker

__all__ = ["Batch", "RateLimitError", "Worker"]
