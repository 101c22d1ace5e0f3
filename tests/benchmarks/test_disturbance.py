"""`python -m benchmarks disturbance`, very small."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import results
from benchmarks.__main__ import app
from benchmarks.results import Result


@pytest.mark.long
def test_messages_to_others_are_timed_while_an_agenda_moves_here_and_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    words = ["disturbance", "--seconds", "1", "--scale", "0.01", "--on", "sqlite", "--only", "agenda moved"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = Result.read(tmp_path / "disturbance.json")
    assert found.notes == []
    assert [line.label for line in found.tables[0].lines] == ["agenda moved", "agenda moved, by another process"]
    assert all(line.samples["messages"][0] > 0 for line in found.tables[0].lines)
