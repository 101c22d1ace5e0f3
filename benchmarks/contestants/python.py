"""Task queues of Python, each in a virtual environment of its own that is made when it is not there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.contestants.programs import PEERS, ProgramContestant
from benchmarks.processes import Processes
from benchmarks.stage import CACHE, Stage


@dataclass(frozen=True, slots=True)
class Recipe:
    """How users of a library install and run it; `work` gets how many messages at a time."""

    label: str
    packages: Sequence[str]
    work: Callable[[int], Sequence[str]]
    set_up: Sequence[str] = ()
    pace: float = 1000.0


THREADED = ("httpx==0.28.1", "psycopg[binary,pool]")
LOOPED = ("httpx==0.28.1", "asyncpg")
TASKIQ_SCHEDULER = "taskiq scheduler --update-interval 5 with_taskiq:scheduler"  # by default it looks once a minute

RECIPES: Mapping[str, Recipe] = {
    "celery": Recipe(
        "Celery",
        ("celery[redis]==5.7.0", *THREADED),
        lambda at_once: (
            *("celery", "--app", "with_celery", "worker", "--pool", "threads", "--concurrency", str(at_once)),
            *("--loglevel", "WARNING"),
        ),
    ),
    "arq": Recipe("arq", ("arq==0.28.0", *LOOPED), lambda _: ("arq", "with_arq.WorkerSettings")),
    "dramatiq": Recipe(
        "dramatiq",
        ("dramatiq[redis]==2.2.1", *THREADED),
        lambda at_once: (*("dramatiq", "with_dramatiq", "--processes", "2", "--threads", str(max(at_once // 2, 1))),),
    ),
    "taskiq": Recipe(
        "taskiq",
        ("taskiq==0.13.0", "taskiq-redis==1.2.4", *LOOPED),
        lambda at_once: (
            *("sh", "-c", f'{TASKIQ_SCHEDULER} & exec taskiq worker with_taskiq:broker "$@"'),
            *("taskiq", "--workers", "1", "--max-async-tasks", str(at_once)),
        ),
    ),
    "procrastinate": Recipe(
        "procrastinate",
        ("procrastinate==3.10.0", *THREADED),
        lambda at_once: (
            *("procrastinate", "--app", "with_procrastinate.app", "worker", "--concurrency", str(at_once)),
        ),
        set_up=("procrastinate", "--app", "with_procrastinate.app", "schema", "--apply"),
        pace=500.0,
    ),
}


class PythonPeer(ProgramContestant):
    """One of the recipes."""

    def __init__(self, name: str) -> None:
        self._recipe = RECIPES[name]
        self.key, self.label = name, self._recipe.label
        self.pace = self._recipe.pace
        self._home = CACHE / name
        self._bin = self._home / "bin"

    async def prepare(self, stage: Stage, messages: int) -> None:
        ready = self._home / "packages.txt"
        packages = "\n".join(self._recipe.packages)
        if ready.exists() and ready.read_text() == packages:
            return
        stage.say(f"fetching the packages of {self.label}")
        self._home.mkdir(parents=True, exist_ok=True)
        async with Processes({}, self._home) as processes:
            for command in (
                (sys.executable, "-m", "venv", str(self._home)),
                (str(self._bin / "pip"), "install", "--quiet", "--disable-pip-version-check", *self._recipe.packages),
            ):
                await (await processes.start(command, "install.log")).succeeded()
        ready.write_text(packages)

    def version(self) -> str:
        return ", ".join(package for package in self._recipe.packages if "==" in package)

    def variables(self) -> Mapping[str, str]:
        return {"PATH": f"{self._bin}:/usr/bin:/bin", "PYTHONPATH": str(PEERS), "VIRTUAL_ENV": str(self._home)}

    def worker_command(self, concurrency: int) -> Sequence[str]:
        return self._recipe.work(concurrency)

    def schedule_command(self) -> Sequence[str]:
        return ("python", str(PEERS / f"with_{self.key}.py"))

    async def set_up(self, processes: Processes) -> None:
        if self._recipe.set_up:
            await (await processes.start(self._recipe.set_up, "set-up.log")).succeeded()
