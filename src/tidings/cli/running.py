"""How commands run: the event loop, the stop signals, the logs."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Coroutine
from contextlib import suppress
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


MOST_NAMED = 8
"""Most of what hangs that is said of a process that ended by force."""


class Stop(asyncio.Event):
    """Set when the process is to end. It has `grace` seconds from then on, and ends whatever hangs."""

    def __init__(self, grace: float) -> None:
        super().__init__()
        self._grace = grace
        self._loop = asyncio.get_running_loop()

    def set(self) -> None:
        """Asks the process to end. Asking again changes nothing."""
        if not self.is_set():
            # A thread, as the event loop may be what hangs; a daemon, which nobody waits for.
            timer = threading.Timer(self._grace, self._end)
            timer.daemon = True
            timer.start()
        super().set()

    def _end(self) -> None:
        log.get_logger(__name__).error(
            "process ended by force: it did not end in time", grace_s=self._grace, hangs=self._what_hangs()
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    def _what_hangs(self) -> list[str]:
        """What every task waits for, from the outside in; after the last one, the threads that still run."""
        tasks: set[asyncio.Task[Any]] = set()
        with suppress(RuntimeError):  # the set changed meanwhile
            tasks = asyncio.all_tasks(self._loop)
        if tasks:
            return sorted({" > ".join(_waiting_for(task.get_coro())) for task in tasks})[:MOST_NAMED]
        return [thread.name for thread in threading.enumerate() if not thread.daemon]


def _waiting_for(coroutine: Any) -> list[str]:
    names: list[str] = []
    while coroutine is not None and (name := getattr(coroutine, "__qualname__", None)):
        names.append(name)
        if getattr(coroutine, "cr_running", False):  # not the loop: it hangs itself
            frames = traceback.extract_stack(sys._current_frames().get(threading.main_thread().ident or 0))
            return names + [frame.name for frame in frames[-3:]]
        coroutine = getattr(coroutine, "cr_await", None)
    return names


def stop_signal(grace: float = 20.0) -> Stop:
    """An event that SIGINT (Ctrl-C) and SIGTERM set, so that running jobs can end before the process does."""
    stop = Stop(grace)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
