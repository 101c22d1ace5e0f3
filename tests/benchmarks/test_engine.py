"""`python -m benchmarks engine`: every measure, very small."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.engine import command
from benchmarks.engine.plan import QUICK
from benchmarks.engine.report import Goal, Row, percentile
from tidings.errors import ConfigurationError

NODE_MODULES = Path(__file__).parent.parent / "node" / "node_modules"


def run(*words: str | Path) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


TINY = replace(
    QUICK, jobs=40, delayed_jobs=10, quiet=0.1, idle_before=0, lone_jobs=1, idle_over=0.1, far_jobs=100, settle=0.05
)


@pytest.mark.long
def test_a_tiny_bench_compares_every_measure_and_writes_it_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "QUICK", TINY)
    node = ("--node-modules", NODE_MODULES) if (NODE_MODULES / "bullmq").exists() else ()
    said = run("engine", "--quick", *node, "--json", tmp_path / "bench.json").stdout
    assert "50 at a time: pace" in said
    assert "started early 0 jobs; the goal is at most 0 jobs" in said
    assert "\x1b" not in said

    report = json.loads((tmp_path / "bench.json").read_text())
    assert [section["measure"] for section in report["sections"]] == ["throughput", "lateness", "pickup", "idle"]
    present = {"ours", "stock"} | ({"node"} if "node" in report["machine"] else set())
    for section in report["sections"]:
        for row in section["rows"]:
            assert set(row["values"]) == present, row
            assert all(value > -1 for value in row["values"].values()), row
            assert set(row["ours_to"]) == present - {"ours"}
    assert report["machine"]["ours"].startswith("Python 3.")


def test_one_measure_alone_and_without_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = run("engine", "--quick", "--only", "throughput", "--jobs", "20").stdout
    assert "50 at a time: pace" in said
    assert "delayed" not in said
    assert "There is no node here, so Node's worker is left out." in said


def test_a_folder_without_bullmq_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no bullmq and ioredis"):
        run("engine", "--quick", "--node-modules", tmp_path)


def test_a_goal_is_judged_by_what_was_found() -> None:
    pace = Row("pace", "jobs/s", {"ours": [10.0, 40.0, 30.0], "node": [20.0, 10.0, 30.0]}, Goal(1.5, "node", True))
    assert (pace.value("ours"), pace.ratio("node"), pace.is_met()) == (30.0, 1.5, True)
    late = Row("late", "ms", {"ours": [1.0, 3.0]}, Goal(2.5), stands=max)
    assert late.is_met() is False
    assert Row("cost", "ms", {"ours": [1.0]}, Goal(1, of="stock")).is_met() is None
    assert percentile([float(number) for number in range(1, 301)], 99) == 297
