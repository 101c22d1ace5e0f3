"""Queues and workers on BullMQ. This package knows jobs, not messages."""
