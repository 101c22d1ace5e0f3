"""The benches of the whole road, very small."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import results
from benchmarks.__main__ import app
from benchmarks.contestants.base import Contestant
from benchmarks.contestants.tidings import TidingsContestant
from benchmarks.delivery.burst import BurstFailed
from benchmarks.results import Line, Result, Table
from benchmarks.rounds import take_turns
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
    ours = Line("ours", {"pace": [30.0, 10.0, 8.0, None]})
    node = Line("node", {"pace": [10.0, 10.0, 2.0, 1.0]})
    Table("pace", {"pace": "/s"}, [ours, node]).compare("node")
    assert (ours.ratios, node.ratios) == ({"pace": 3.0}, {})
    assert ours.value("pace") == 10.0


async def test_a_turn_that_failed_leaves_a_gap_and_a_sentence_but_not_the_others_ratios_astray() -> None:
    async def measure(contestant: Contestant) -> dict[str, float]:
        if contestant is first and not spoken:
            raise BurstFailed("3 messages are missing")
        return {"pace": float(len(spoken))}

    spoken: list[str] = []
    first, second = TidingsContestant("SQLite"), TidingsContestant("PostgreSQL")
    stage: Any = SimpleNamespace(say=lambda line: spoken.append(line) if line.startswith("round 2") else None)
    lines, failures = await take_turns(stage, [first, second], 2, measure)
    assert failures == ["Tidings, SQLite, round 1: 3 messages are missing."]
    assert [line.samples for line in lines] == [{"pace": [None, 1.0]}, {"pace": [0.0, 2.0]}]


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
