"""The `tidings` command in processes of its own, started in milliseconds.

A command's imports take a second of computing, and the tests start dozens. So the fork server of `multiprocessing`
imports them once, and each program is a fork of it: a process with its own environment, which can be killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from support.sink import Sink
from tidings.app import App

_forks = get_context("forkserver")
_forks.set_forkserver_preload([name for name in sys.modules if name.startswith("tidings.")])


class Program:
    """One run of `tidings`. What it prints goes into the file `output`, or where the tests' own output goes."""

    def __init__(
        self, *arguments: str, variables: Mapping[str, str], folder: Path | None = None, output: Path | None = None
    ) -> None:
        environment = {**os.environ, **variables}
        self.output = output
        self._process = _forks.Process(
            target=_run, args=(arguments, environment, folder and str(folder), output and str(output))
        )
        self._process.start()

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to a program that runs."""
        assert self._process.pid
        os.kill(self._process.pid, number)

    def terminate(self) -> None:
        """Asks the program to end; when it has ended, nothing happens."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends the program in the middle of whatever it does."""
        self._process.kill()

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit status once it has ended; negative is the signal that ended it."""
        self._process.join(timeout)
        status = self._process.exitcode
        assert status is not None, "it has not ended"
        return status

    async def ended(self) -> int:
        """`wait`, while other things go on."""
        return await asyncio.to_thread(self.wait)


def _run(arguments: Sequence[str], environment: dict[str, str], folder: str | None, output: str | None) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if folder:
        os.chdir(folder)
    if output:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
    sys.argv = ["tidings", *arguments]
    from tidings.cli import main

    main()


@contextmanager
def running(program: Program) -> Iterator[Program]:
    """Ends the program afterwards, politely: killed, it would leave its Valkey behind."""
    try:
        yield program
    finally:
        program.terminate()
        program.wait()


def start_worker(app: App, sink: Sink, *, output: Path | None = None, **variables: str) -> Program:
    """A worker of all queues of `app`, which sends to `sink` and whose crash is noticed after a second."""
    return Program(
        "worker",
        output=output,
        variables={
            "DATABASE_URL": app.settings.database,
            "REDIS_URL": app.redis_url,
            "REDIS_PREFIX": app.settings.redis_prefix,
            "N8N_OUTBOUND_WEBHOOK_URL": sink.url,
            "TIDINGS_DATA_DIR": str(app.settings.data_dir),
            "TIDINGS_LOCK_DURATION": "1",
            "TIDINGS_HTTP_TIMEOUT": "1",
            "TIDINGS_LOG_LEVEL": "error",
            **variables,
        },
    )
