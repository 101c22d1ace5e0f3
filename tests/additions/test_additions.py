"""A new feature is its folder and one line, a new provider its file and one line: the whole of Tidings knows them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import tidings

HERE = Path(__file__).parent
PACKAGE = Path(tidings.__file__).parent
FEATURE = ("    chat: ServiceOf[Chat] =", '    pings: ServiceOf[Any] = ServiceOf("Pings.")\n')
PROVIDER = ('    "smtp.send",\n', '    "pigeon",\n')


def test_a_folder_and_a_file_and_a_line_for_each_are_a_feature_and_a_provider(tmp_path: Path) -> None:
    copy = tmp_path / "src" / "tidings"
    shutil.copytree(PACKAGE, copy)  # with what is compiled already
    shutil.copytree(HERE / "pings", copy / "features" / "pings", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "pigeon.py", copy / "providers")
    registry = (copy / "registry.py").read_text()
    for before, line in (FEATURE, PROVIDER):
        assert registry.count(before) == 1
        registry = registry.replace(before, line + before)
    (copy / "registry.py").write_text(registry)

    def run(*command: str | Path) -> str:
        variables = {
            "PYTHONPATH": str(tmp_path / "src"),
            "TIDINGS_DATA_DIR": str(tmp_path / "data"),
            "PING_TEXT": "Anybody there?",
            "PIGEON_LOFT": str(tmp_path / "loft"),
        }
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(HERE / "program.py") == "ping-2 follows ping-1\n"
    assert (tmp_path / "loft").read_text() == "+18105550123: Anybody there?\n"
    assert "handed to pigeon by sms" in run("-m", "tidings", "why", "ping-1")
    listed = run("-m", "tidings", "settings")
    assert "| `PING_TEXT` | `Ping` | What a ping says. |" in listed
    assert "| `PIGEON_LOFT` |" in listed
    assert "| `pings` | `PINGS_…` | 2 |" in listed
