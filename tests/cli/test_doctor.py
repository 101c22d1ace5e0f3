"""`tidings doctor` finds what is wrong, says what to do, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tidings import log
from tidings.app import App
from tidings.cli import app
from tidings.registry import load

Tidings = Callable[..., Result]


@pytest.fixture
def doctor(tidings: Tidings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Asks the doctor; the exit status, and what was said."""
    monkeypatch.setenv("N8N_OUTBOUND_WEBHOOK_URL", "https://n8n.example/webhook/x")
    monkeypatch.setenv("SMTP_HOST", "mail.example")

    def ask(*words: str) -> tuple[int, str]:
        try:
            result = CliRunner().invoke(app, ["doctor", *words], catch_exceptions=False)
        finally:
            log.configure(level="DEBUG", json=True)
        return result.exit_code, result.stdout

    return ask


def words(text: str) -> str:
    """Without the breaks of lines."""
    return " ".join(text.split())


def test_an_installation_without_workers_is_told_how_to_start_them_within_80_columns(doctor: Any) -> None:
    status, said = doctor()
    assert status == 1
    assert words(said) == ("workers No worker is connected; start one with tidings up or tidings worker. 1 finding.")
    assert max(map(len, said.splitlines())) <= 80


def test_channels_without_a_provider_are_told_and_are_no_finding(
    doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("N8N_OUTBOUND_WEBHOOK_URL")
    _, said = doctor()
    sentence = "sms is simulated, so nobody gets its messages; set N8N_OUTBOUND_WEBHOOK_URL or MITTO_API_KEY."
    assert words(said).endswith(f"1 finding. {sentence}")
    assert max(map(len, said.splitlines())) <= 80


def test_the_deep_look_names_the_message_and_programs_get_the_same_as_json(
    doctor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.cli.doctor.PAUSE", 0.0)
    with closing(sqlite3.connect(tmp_path / "data" / "tidings.db")) as database:
        database.execute(
            "INSERT INTO contractors (id, name, phone, vip, created_at, updated_at) "
            "VALUES (1, 'Ada', '+18105550123', false, '2026-01-01', '2026-01-01')"
        )
        database.execute(
            "INSERT INTO notices (notice_type, address, channel, text, scheduled_time, status, attempts, created_at, "
            "updated_at) VALUES ('help', '+18105550123', 'sms', 'Hi', '2026-01-01 10:00:00', 'scheduled', 0, "
            "'2026-01-01', '2026-01-01')"
        )
        database.commit()
    status, said = doctor("--deep")
    assert status == 1
    assert "notice-1 is due at 01 Jan 2026 10:00:00 UTC, and no job wakes it then. Recovery adds the job" in words(
        said
    )
    assert "Messages that should have left already: one of the kind notice. notice-1 was due at" in words(said)
    assert max(map(len, said.splitlines())) <= 80
    status, said = doctor("--deep", "--json")
    found = json.loads(said)
    assert status == 1
    assert [(one["check"], one["message"]) for one in found] == [
        ("workers", None),
        ("overdue", "notice-1"),
        ("jobs", "notice-1"),
    ]


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "a setting that cannot be read": ({"TIDINGS_HTTP_TIMEOUT": "soon"}, "settings The settings cannot be used"),
    "a Redis that is not there": ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "nothing listens there; start it or unset"),
    "a database that is not there": (
        {"DATABASE_URL": "postgresql://tidings:secret@127.0.0.1:1/tidings"},
        "servers The database of DATABASE_URL cannot be used now",
    ),
    "a database of an older version": ({"DATABASE_URL": "sqlite:///empty.db"}, "Run: tidings migrate"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_keeps_tidings_from_starting_is_a_finding_like_others(
    case: str, doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, sentence = WRONG[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    status, said = doctor()
    assert (status, sentence in words(said)) == (1, True), said
    assert words(said).endswith("1 finding.")


async def test_an_installation_at_work_has_nothing_wrong(
    open_app: Callable[..., Awaitable[App]], database_url: str, tmp_path: Path
) -> None:
    at_work = await open_app(database_url=database_url)
    await at_work.start_workers()
    while await at_work.doctor.look():
        await asyncio.sleep(0.01)
    variables = {
        "DATABASE_URL": database_url,
        "REDIS_URL": at_work.redis_url,
        "REDIS_PREFIX": at_work.settings.redis_prefix,
        "TIDINGS_DATA_DIR": str(tmp_path / "data"),
        "TIDINGS_LOG_LEVEL": "warning",
        "N8N_OUTBOUND_WEBHOOK_URL": "https://n8n.example/webhook/x",
        "SMTP_HOST": "mail.example",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidings", "doctor", "--deep"),
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert words(said.decode()) == (
        "Nothing is wrong: settings, servers, workers, clocks, overdue messages, unknown outcomes, "
        "undecided replies, dead letters, endings, leases, jobs, places in caps."
    )
    assert process.returncode == 0


def test_nothing_is_changed(doctor: Any, tmp_path: Path) -> None:
    file = tmp_path / "data" / "tidings.db"
    before = file.read_bytes()
    doctor("--deep")
    assert file.read_bytes() == before
    assert load().database == f"sqlite:///{file}"
