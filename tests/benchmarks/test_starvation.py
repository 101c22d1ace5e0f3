"""`python -m benchmarks starvation`, very small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app


@pytest.mark.long
def test_a_small_burst_is_sent_while_the_api_is_asked_and_every_wait_is_written_down(tmp_path: Path) -> None:
    words = ["starvation", "--messages", "200", "--quiet", "1", "--json", str(tmp_path / "waits.json")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "messages a second left" in result.output
    waits = json.loads((tmp_path / "waits.json").read_text())
    assert {name: set(of_path) for name, of_path in waits.items()} == {
        name: {"/health", "/event-messages?limit=50"} for name in ("quiet", "burst")
    }
    assert all(of_path for spell in waits.values() for of_path in spell.values())
