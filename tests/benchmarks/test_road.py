"""The benches of the whole road, very small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import results
from benchmarks.__main__ import app
from benchmarks.results import Line, Result, Table
from tidings.errors import ConfigurationError


def run(*words: str | Path) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.long
def test_a_tiny_burst_is_delivered_once_each_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    run("delivery", "--messages", "20", "--rounds", "1", "--only", "tidings-sqlite")
    [table] = Result.read(tmp_path / "delivery.json").tables
    [line] = table.lines
    assert line.label == "Tidings, SQLite"
    assert {name: len(samples) for name, samples in line.samples.items()} == dict.fromkeys(table.columns, 1)
    assert line.samples["messages"][0] > 0
    assert line.samples["first"][0] >= 0


def test_a_contestant_that_nobody_knows_is_named_beside_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no contestant 'nod'\. Choose from tidings-postgresql, .*, node, "):
        run("delivery", "--only", "nod")


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    table = Table(
        "pace", {"pace": "/s"}, [Line("ours", {"pace": [30.0, 10.0, 8.0]}), Line("node", {"pace": [10.0, 10.0, 2.0]})]
    )
    table.compare("node")
    assert [line.ratios for line in table.lines] == [{"pace": 3.0}, {}]


def test_the_report_has_every_table_with_its_ratios_and_a_chart(tmp_path: Path) -> None:
    lines = [
        Line("Tidings & co", {"worker": [300.0], "PostgreSQL": [200.0], "Redis": [100.0]}),
        Line("Node, by hand", {"worker": [600.0], "PostgreSQL": [100.0], "Redis": [100.0]}),
        Line("absent", {}),
    ]
    table = Table("A burst", dict.fromkeys(("worker", "PostgreSQL", "Redis"), "µs CPU"), lines)
    table.compare("Node, by hand")
    found = Result("delivery", {"messages": 20}, {"redis": "Valkey 9"}, [table], ["One came late."])
    (tmp_path / "delivery.json").write_text(found.as_json())
    engine = {
        "machine": {"server": "Valkey 9"},
        "notes": [],
        "plan": {"rounds": 3},
        "sections": [{"title": "Idle", "rows": [{"what": "commands", "unit": "/s", "values": {"ours": 1.5}}]}],
    }
    (tmp_path / "engine.json").write_text(json.dumps(engine))

    run("report", "--results", tmp_path, "--into", tmp_path)
    page = (tmp_path / "BENCHMARKS.md").read_text()
    assert "| Tidings & co | 300 ×0.50 | 200 ×2.00 | 100 ×1.00 |" in page
    assert "| absent | – | – | – |" in page
    assert "| commands (/s) | 1.50 |" in page
    assert "One came late." in page
    chart = (tmp_path / "docs" / "benchmarks.svg").read_text()
    assert "Tidings &amp; co" in chart
    assert "absent" not in chart


def test_a_report_of_nothing_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Run `make bench` first"):
        run("report", "--results", tmp_path, "--into", tmp_path)
