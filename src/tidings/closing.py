"""Closing what a process has opened, without waiting for what does not end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from tidings.log import get_logger

CLOSING = 3.0
"""Seconds that one thing may take to close."""

log = get_logger(__name__)


class ClosingStack(AsyncExitStack):
    """An exit stack whose asynchronous callbacks have `CLOSING` seconds each; what takes longer is left as it is."""

    def push_async_callback(  # type: ignore[override]
        self, callback: Callable[[], Awaitable[object]], /
    ) -> Callable[[], Awaitable[object]]:
        super().push_async_callback(_close, callback)
        return callback


async def ends_within(seconds: float, work: Coroutine[Any, Any, object]) -> bool:
    """Whether it has ended in time. What has not is cancelled and not waited for; what has raises its error."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
    if not task.done():
        return False
    await task
    return True


async def _close(callback: Callable[[], Awaitable[object]]) -> None:
    async def close() -> None:
        await callback()

    if not await ends_within(CLOSING, close()):
        log.warning("not closed in time, and left", what=getattr(callback, "__qualname__", repr(callback)))
