"""Processes that are measured: started with a few variables, and what they and their children have computed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
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


def exact_cpu_of(pid: int) -> float:
    """The same to the nanosecond, of the threads that run now: between two calls none of them may have ended."""
    total = 0
    for one in tree_of(pid):
        for thread in Path(f"/proc/{one}/task").glob("*/schedstat"):
            with suppress(OSError):
                total += int(thread.read_text().split()[0])
    return total / 1e9


def tree_of(pid: int) -> list[int]:
    """The process and its descendants that run now."""
    children: dict[int, list[int]] = defaultdict(list)  # /proc/…/children may leave some out while others end
    for one in filter(str.isdecimal, os.listdir("/proc")):
        if fields := _stat(int(one)):
            children[int(fields[1])].append(int(one))
    found = [pid]
    for one_of_them in found:
        found += children[one_of_them]
    return found


def _cpu(pid: int) -> float:
    return sum(map(int, _stat(pid)[11:15])) / _TICK  # own and ended children's, in user and system mode


def _stat(pid: int) -> list[str]:
    """What follows the name in the process's stat; nothing when it has ended, for its parent has what it used."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


class Process:
    """A process in a session of its own. What it prints is in the file `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self.log = process, log

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
        """Asks it and its children to end, and after a while makes them."""
        if self.is_running:
            os.killpg(self.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _END_TIMEOUT)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()


class Processes:
    """Processes in one folder with the same few variables, which are ended together: `async with Processes(…)`."""

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._variables, self._folder = {**kept, **variables}, folder
        self._started: list[Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in reversed(self._started):
            await process.end()

    async def start(self, command: Sequence[str], log: str) -> Process:
        """A process; what it prints is added to the file `log` in the folder."""
        with (self._folder / log).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=self._variables,
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(Process(process, self._folder / log))
        return self._started[-1]
