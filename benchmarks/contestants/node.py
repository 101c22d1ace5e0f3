"""A worker that somebody wrote by hand in Node, with BullMQ, pg and undici."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contestants.programs import PEERS, ProgramContestant
from benchmarks.processes import Processes
from benchmarks.stage import CACHE, Stage
from tidings.errors import ConfigurationError


class Node(ProgramContestant):
    """Its packages are fetched by npm when they are not there."""

    key, label = "node", "Node, by hand"
    pace = 4000.0

    def __init__(self) -> None:
        self._home = CACHE / "node"

    async def prepare(self, stage: Stage, messages: int) -> None:
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise ConfigurationError("There is no node or npm here. Install them, or leave node out with --only.")
        self._home.mkdir(parents=True, exist_ok=True)
        source = PEERS / "node"
        if _differ(source / "package.json", self._home / "package.json"):
            stage.say("fetching the packages of the Node worker")
            shutil.copy(source / "package.json", self._home)
            try:
                async with Processes({}, self._home) as processes:
                    npm = ("npm", "install", "--no-audit", "--no-fund", "--silent")
                    await (await processes.start(npm, "npm.log")).succeeded()
            except BaseException:
                (self._home / "package.json").unlink()
                raise
        shutil.copy(source / "worker.mjs", self._home)  # an import looks for packages beside its file

    def version(self) -> str:
        names = ("bullmq", "pg", "undici")
        packages = [json.loads((self._home / "node_modules" / name / "package.json").read_text()) for name in names]
        return ", ".join(f"{package['name']} {package['version']}" for package in packages)

    def worker_command(self, concurrency: int) -> Sequence[str]:
        return ("node", str(self._home / "worker.mjs"), "work")

    def schedule_command(self) -> Sequence[str]:
        return ("node", str(self._home / "worker.mjs"), "schedule")


class NodeWithRows(Node):
    """The same, whose command that schedules writes the rows as well."""

    key, label = "node-rows", "Node, rows and jobs"
    writes_rows = True

    def schedule_command(self) -> Sequence[str]:
        return ("node", str(self._home / "worker.mjs"), "schedule-rows")


def _differ(one: Path, other: Path) -> bool:
    return not other.exists() or one.read_bytes() != other.read_bytes()
