"""Several worker processes on one machine: forked one after another, replaced when they die, ended together.

The supervisor forks, so it never has an event loop or a thread, and does nothing but wait. What it has loaded its
children share: memory is copied page by page when somebody writes to it. Whatever starting takes (the settings of
queues, migrations, the embedded Valkey) the first child does while it is alone, so a mistake is reported once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from structlog.contextvars import bind_contextvars

from tidings.errors import ConfigurationError
from tidings.log import get_logger

STARTS = 5
"""Children in a row that may end before they are ready, until the supervisor gives up."""

STEADY = 10.0
"""Seconds after which a child that dies is replaced at once, or nearly."""

LONGEST_WAIT = 30.0
"""Seconds until a child is replaced, at most."""

_STOP = (signal.SIGINT, signal.SIGTERM)

log = get_logger(__name__)


class Link:
    """A child's end of what connects it to its supervisor."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def attach(self, stop: asyncio.Event) -> None:
        """Sets `stop` when the supervisor is gone, however it went, and lets the signals in that were held back.

        Whoever calls it hears signals already.
        """
        loop = asyncio.get_running_loop()

        def supervisor_is_gone() -> None:
            loop.remove_reader(self._end.fileno())
            stop.set()

        loop.add_reader(self._end.fileno(), supervisor_is_gone)  # nothing is ever sent this way
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)

    def say_ready(self) -> None:
        """Tells the supervisor that this child works, so that the next one may start."""
        with suppress(OSError):
            self._end.send(b"ready")


@dataclass(slots=True)
class _Child:
    number: int
    pid: int
    end: socket.socket
    began: float = field(default_factory=time.monotonic)
    is_ready: bool = False

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)  # it is not reaped yet, so the number is still its own


class Supervisor:
    """Keeps `count` children running. `run` returns in every child, and in the supervisor when all have ended.

    A child that died is replaced after `first_wait` seconds, doubled for each one before that was not steady either.
    Children have `grace` seconds to end, which is longer than they give themselves.
    Raises ConfigurationError where processes cannot be forked.
    """

    def __init__(self, count: int, *, first_wait: float = 0.5, grace: float = 30.0) -> None:
        if not hasattr(os, "fork"):
            raise ConfigurationError(
                "--processes needs a system that can fork. Start several `tidings worker` instead."
            )
        self._status = 0
        self._count = count
        self._first_wait = first_wait
        self._grace = grace
        self._children: list[_Child] = []
        self._was_ready = False  # one of them, once
        self._unsteady = self._failed_starts = 0  # in a row
        self._start_at = 0.0
        self._kill_at: float | None = None  # known once all are to end

    def run(self) -> Link | None:
        """The child's link in a child, None in the supervisor."""
        with _signals() as signals:
            while self._children or self._kill_at is None:
                start = self._next_start()
                if start is not None and start <= time.monotonic():
                    if link := self._start():
                        return link
                    start = None
                heard = wait([signals, *(child.end for child in self._children)], _until(start or self._kill_at))
                if signals in heard:
                    for _ in signals.recv(64):
                        self._stop()
                for child in [child for child in self._children if child.end in heard]:
                    self._hear(child)
                if self._kill_at is not None and time.monotonic() >= self._kill_at:
                    self._stop()
        return None

    def exit_status(self) -> int:
        """The first exit status other than 0 of those that ended while all were to end, otherwise 0.

        Raises ConfigurationError when all were to end because children kept on ending before they were ready.
        """
        if self._failed_starts >= STARTS:
            raise ConfigurationError(
                f"{STARTS} worker processes in a row ended before they were ready; the lines above say why. "
                "Mend that and start again."
            )
        return self._status

    def _next_start(self) -> float | None:
        """When another child starts; None while none is wanted or one is starting: what stops it is said once."""
        is_wanted = self._kill_at is None and len(self._children) < self._count
        return self._start_at if is_wanted and all(child.is_ready for child in self._children) else None

    def _start(self) -> Link | None:
        number = min(set(range(1, self._count + 1)) - {child.number for child in self._children})
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)  # until the child hears them
        pid = os.fork()
        if pid == 0:
            for end in (ours, *(child.end for child in self._children)):
                end.close()  # else the others would only notice that the supervisor is gone when this child is, too
            bind_contextvars(process=number)
            return Link(theirs)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        self._children.append(_Child(number, pid, ours))
        return None

    def _hear(self, child: _Child) -> None:
        with suppress(ConnectionError):
            if child.end.recv(64):
                child.is_ready = self._was_ready = True
                log.info("worker process ready", process=child.number, pid=child.pid)
                self._failed_starts = 0
                return
        child.end.close()
        self._children.remove(child)
        _, ended = os.waitpid(child.pid, 0)
        self._bury(child, os.waitstatus_to_exitcode(ended))

    def _bury(self, child: _Child, status: int) -> None:
        if self._kill_at is not None or not self._was_ready:
            self._status = self._status or _exit_status(status)
            self._kill_at = self._kill_at or time.monotonic() + self._grace
            return
        lived = time.monotonic() - child.began
        self._unsteady = 0 if lived >= STEADY else self._unsteady + 1
        self._failed_starts += not child.is_ready
        if self._failed_starts >= STARTS:
            self._stop()
            return
        pause = min(self._first_wait * 2.0 ** max(self._unsteady - 1, 0), LONGEST_WAIT)
        self._start_at = time.monotonic() + pause
        log.warning(
            "worker process died",
            process=child.number,
            pid=child.pid,
            status=_name(status),
            lived_s=round(lived, 1),
            next_in_s=pause,
        )

    def _stop(self) -> None:
        """Asks every child to end; when they have been asked already, ends them."""
        number = signal.SIGTERM if self._kill_at is None else signal.SIGKILL
        if number == signal.SIGKILL:
            log.warning("worker processes ended by force", processes=[child.number for child in self._children])
        self._kill_at = time.monotonic() + self._grace
        for child in self._children:
            child.kill(number)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Gets a byte for every SIGINT and SIGTERM, which do nothing else meanwhile."""
    heard, told = socket.socketpair()
    with heard, told:
        told.setblocking(False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in _STOP}
        before = signal.set_wakeup_fd(told.fileno())
        try:
            yield heard
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _until(moment: float | None) -> float | None:
    """Seconds from now until a moment of the monotonic clock, if there is one."""
    return None if moment is None else max(moment - time.monotonic(), 0.0)


def _exit_status(status: int) -> int:
    """An exit status as shells have it: of a child that a signal ended, 128 and the signal's number."""
    return status if status >= 0 else 128 - status


def _name(status: int) -> str:
    return str(status) if status >= 0 else signal.Signals(-status).name
