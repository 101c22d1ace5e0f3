"""Processes that are measured: started with a few variables, and what they and their children have computed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from tidings.errors import TidingsError

_TICK = os.sysconf("SC_CLK_TCK")
_END_TIMEOUT = 10.0  # seconds
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
"""Variables that a measured process has from ours; nobody's settings shall change what is measured."""


class ProcessFailed(TidingsError):
    """A measured process ended or said that it failed; the message has the end of its log."""


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process and all its descendants, the ended ones included, have used until now."""
    return sum(_cpu(one) for one in tree_of(pid))


def tree_of(pid: int) -> list[int]:
    """The process and its descendants that run now."""
    found, at = [pid], 0
    while at < len(found):
        for children in Path(f"/proc/{found[at]}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue  # a thread that has ended meanwhile
        at += 1
    return found


def _cpu(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0  # it has ended, and its parent has what it used
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICK  # own and ended children's, in user and system mode


class Process:
    """A process in a session of its own. What it prints goes to the file `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self.log = process, log

    @classmethod
    async def start(cls, command: Sequence[str], *, variables: Mapping[str, str], folder: Path, log: Path) -> Self:
        """Starts `command` in `folder`, with these variables and hardly any others."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**kept, **variables},
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def succeeded(self) -> None:
        """Waits until it has ended. Raises ProcessFailed unless that was well."""
        if await self._process.wait():
            raise self.failure()

    def failure(self) -> ProcessFailed:
        """What to raise when it did not do what it was started for."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        return ProcessFailed(f"process {self.pid} failed; the end of its log {self.log}:\n{tail}")

    async def end(self) -> None:
        """Asks it to end, and after a while makes it and its children."""
        if not self.is_running:
            return
        tree = tree_of(self.pid)
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _END_TIMEOUT)
        except TimeoutError:
            for pid in tree:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            await self._process.wait()


@asynccontextmanager
async def running(
    command: Sequence[str], *, variables: Mapping[str, str], folder: Path, log: Path
) -> AsyncIterator[Process]:
    """The process, which is ended afterwards."""
    process = await Process.start(command, variables=variables, folder=folder, log=log)
    try:
        yield process
    finally:
        await process.end()
