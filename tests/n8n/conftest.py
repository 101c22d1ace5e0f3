"""One real n8n with the workflows that tests call; only for those who ask for it, with `-m n8n`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from n8n.server import N8n, Owner
from n8n.workflows import CREDENTIALS, MODES, Json, answering, sending, waiting
from providers.n8n_recorded import WEBHOOKS
from support.postgres import Postgres

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests in this folder run where they are asked for: n8n is large, and not part of every check."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker("n8n")
        item.add_marker(pytest.mark.timeout(400))
    if here and "n8n" not in config.option.markexpr:
        config.hook.pytest_deselected(items=here)
        items[:] = [item for item in items if item not in here]


@pytest.fixture(scope="session")
def examples() -> list[Json]:
    """The workflows of the documentation, as they are exported."""
    return [json.loads(file.read_text()) for file in sorted(EXAMPLES.glob("n8n-*.json"))]


@pytest.fixture(scope="session")
def installed(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory, examples: list[Json]) -> Iterator[N8n]:
    """An n8n that knows all workflows and does not run. `waiting` is the only one that is not published."""
    with postgres.new(empty=True) as database:
        n8n = N8n(database, tmp_path_factory.mktemp("n8n"))
        ours = [answering(), sending(), waiting()]
        n8n.install(
            [*(one.exported() for one in ours), *examples],
            CREDENTIALS,
            publish=["answering", "sending", *(one["id"] for one in examples)],
        )
        yield n8n


@pytest.fixture
async def stopped(installed: N8n) -> AsyncIterator[N8n]:
    """An n8n that does not run, and does not afterwards."""
    await installed.stop()
    yield installed
    await installed.stop()


@pytest.fixture(scope="module")
async def n8n(installed: N8n) -> AsyncIterator[N8n]:
    """An n8n that takes messages."""
    installed.start()
    await installed.takes(*MODES, *(path for path in WEBHOOKS if path not in ("takes-get", "unknown")))
    yield installed
    await installed.stop()


@pytest.fixture
async def owner(n8n: N8n) -> AsyncIterator[Owner]:
    """Its owner, signed in for the first time."""
    person = Owner(n8n)
    await person.sign_up()
    yield person
    await person.close()
