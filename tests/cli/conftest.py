"""Commands as people run them, on an embedded Valkey and a SQLite of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tidings import log
from tidings.cli import app

Tidings = Callable[..., Result]


@pytest.fixture
def tidings(tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> Tidings:
    """Runs a command in an installation without a row. Errors that a person can mend are raised."""
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(migrated_sqlite, tmp_path / "data" / "tidings.db")
    monkeypatch.setenv("TIDINGS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TIDINGS_LOG_LEVEL", "warning")
    monkeypatch.chdir(tmp_path)  # away from a developer's .env

    def run(*words: str | Path) -> Result:
        try:
            result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        finally:
            log.configure(level="DEBUG", json=True)  # as for all tests; the command's standard error is gone
        assert result.exit_code == 0, result.output
        return result

    return run


@pytest.fixture
def schedule(tmp_path: Path) -> Callable[..., Path]:
    """Writes a schedule.json of one room; each session is (guid, start, duration, title)."""

    def write(*sessions: tuple[str, str, str, str], zone: str | None = "Europe/Berlin", slug: str = "conf") -> Path:
        entries = [
            {"guid": guid, "date": date, "duration": duration, "title": title, "room": "Hall"}
            for guid, date, duration, title in sessions
        ]
        conference: dict[str, Any] = {
            "acronym": slug,
            "title": "The Conf",
            "start": "2030-05-01",
            "days": [{"index": 1, "date": "2030-05-01", "rooms": {"Hall": entries}}],
        }
        if zone:
            conference["time_zone_name"] = zone
        path = tmp_path / "schedule.json"
        path.write_text(json.dumps({"schedule": {"conference": conference}}))
        return path

    return write


@pytest.fixture
def people_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV file of people."""

    def write(*lines: str, header: str = "name,phone,email,company") -> Path:
        path = tmp_path / "people.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write
