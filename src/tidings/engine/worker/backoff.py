"""How long a failed job waits for its next attempt."""

from __future__ import annotations

import inspect
import random
from typing import Any

GIVE_UP = -1
"""What a strategy of one's own answers when another attempt would not help."""


async def delay_before_retry(job: Any, error: BaseException, settings: Any) -> int:
    """Milliseconds until the next attempt, 0 for at once, or GIVE_UP.

    `job.opts["backoff"]` is a number of milliseconds or {"type": "fixed" | "exponential" | a name of one's own,
    "delay": milliseconds, "jitter": 0 to 1}: with jitter the delay is drawn from its last such share, as in Node's
    BullMQ. Other types go to `settings["backoffStrategy"](attempts_made, type, error, job)`, which may be async.
    Raises ValueError for a type that nobody knows.
    """
    backoff = job.opts.get("backoff")
    if not backoff:
        return 0
    if not isinstance(backoff, dict):
        backoff = {"type": "fixed", "delay": backoff}
    attempts = job.attemptsMade + 1
    kind, delay = backoff.get("type"), backoff.get("delay") or 0
    if kind == "exponential":
        delay = round(2 ** (attempts - 1) * delay)
    elif kind != "fixed":
        strategy = (settings or {}).get("backoffStrategy")
        if strategy is None:
            raise ValueError(f"no backoff strategy {kind!r}: give the worker settings.backoffStrategy")
        answer = strategy(attempts, kind, error, job)
        return round(await answer if inspect.isawaitable(answer) else answer or 0)
    jitter = min(max(backoff.get("jitter") or 0, 0), 1)
    return int(delay * (1 - jitter) + random.random() * delay * jitter) if jitter else round(delay)
