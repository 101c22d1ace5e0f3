"""One real n8n with the workflows that tests call; only for those who ask for it, with `-m n8n`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from n8n.server import N8n, Owner, place_of
from n8n.workflows import CREDENTIALS, MODES, adapted, answering, answering_otherwise, copied
from n8n.workflows import postgres as keys_at
from providers.n8n_recorded import WEBHOOKS
from support.postgres import Postgres

GUIDE = Path(__file__).parents[2] / "docs" / "n8n.md"
EXAMPLES = GUIDE.parent / "examples"


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
def installed(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[N8n]:
    """An n8n that knows all workflows and does not run. `waiting` is the only one that is not published."""
    examples = [json.loads(file.read_text()) for file in sorted(EXAMPLES.glob("n8n-*.json"))]
    [send] = [one for one in examples if one["id"] == "tidingsSendTexts"]
    with postgres.new(empty=True) as database, postgres.new(empty=True) as keys:
        asyncio.run(prepare(keys))
        n8n = N8n(database, tmp_path_factory.mktemp("n8n"))
        others = [answering_otherwise(send, path) for path in ("sms-at-once", "sms-last")]
        n8n.install(
            [
                answering().exported(),
                *map(adapted, examples),
                *others,
                copied(send, "sms-later", "waiting"),
            ],
            [*CREDENTIALS, keys_at(*place_of(keys))],
            publish=["answering", *(one["id"] for one in (*examples, *others))],
        )
        yield n8n


async def prepare(database: str) -> None:
    """Runs the statement of the documentation that the workflow needs."""
    [statement] = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    connection = await asyncpg.connect(database)
    await connection.execute(statement)
    await connection.close()


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
    await installed.takes("sms-status", *MODES, *(path for path in WEBHOOKS if path not in ("takes-get", "unknown")))
    yield installed
    await installed.stop()


@pytest.fixture
async def owner(n8n: N8n) -> AsyncIterator[Owner]:
    """Its owner, signed in for the first time."""
    person = Owner(n8n)
    await person.sign_up()
    yield person
    await person.close()
