"""How commands run: the event loop, the stop signals, the logs."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from tidings import log
from tidings.registry import Settings, load

try:
    import uvloop
except ImportError:  # Windows
    uvloop = None  # type: ignore[assignment]

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs a command's coroutine, on uvloop where there is one."""
    factory = uvloop.new_event_loop if uvloop else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def prepare(**overrides: Any) -> Settings:
    """Settings read, logs set up."""
    settings = load(**overrides)
    log.configure(level=settings.log_level)
    return settings


def settle() -> None:
    """To be called when a long-running process has loaded everything.

    A full garbage collection walks through all that is loaded and stops the process for up to 100 ms, which
    a message that is due must not wait for. Afterwards it only walks through what came later.
    """
    gc.collect()
    gc.freeze()


def stop_signal() -> asyncio.Event:
    """An event that SIGINT (Ctrl-C) and SIGTERM set, so that running jobs can end before the process does."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
