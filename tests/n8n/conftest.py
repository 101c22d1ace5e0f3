"""One real n8n with the workflows that tests call; only for those who ask for it, with `-m n8n`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
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
        item.add_marker(pytest.mark.timeout(600))
    if here and "n8n" not in config.option.markexpr:
        config.hook.pytest_deselected(items=here)
        items[:] = [item for item in items if item not in here]


@pytest.fixture(scope="session")
async def owner(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Owner]:
    """Whose n8n it is. All its workflows are published, but `waiting`."""
    examples = [json.loads(file.read_text()) for file in sorted(EXAMPLES.glob("n8n-*.json"))]
    [send] = [one for one in examples if one["id"] == "tidingsSendTexts"]
    workflows = [
        answering().exported(),
        *map(adapted, examples),
        answering_otherwise(send, "sms-at-once"),
        answering_otherwise(send, "sms-last"),
        copied(send, "sms-later", "waiting"),
    ]
    with postgres.new(empty=True) as database, postgres.new(empty=True) as keys:
        await prepare(keys)
        n8n = N8n(database, tmp_path_factory.mktemp("n8n"))
        n8n.load(workflows, [*CREDENTIALS, keys_at(*place_of(keys))])
        n8n.start()
        person = Owner(n8n)
        try:
            await person.sign_up()
            for one in workflows:
                if one["id"] != "waiting":
                    await person.publish(one["id"])
            yield person
        finally:
            await person.close()
            await n8n.stop()


async def prepare(database: str) -> None:
    """Runs the statement of the documentation that the workflow needs."""
    [statement] = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    connection = await asyncpg.connect(database)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture
async def stopped(owner: Owner) -> N8n:
    """An n8n that does not run."""
    await owner.n8n.stop()
    return owner.n8n


@pytest.fixture
async def n8n(owner: Owner) -> N8n:
    """An n8n that takes messages, maybe since an earlier test."""
    if not owner.n8n.is_running:
        owner.n8n.start()
    await owner.n8n.takes("sms-status", *MODES, *(path for path in WEBHOOKS if path not in ("takes-get", "unknown")))
    return owner.n8n
