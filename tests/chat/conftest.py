"""Applications that chat, on both databases, closed at the test's end."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from chat.support import BACKOFF, SETTINGS, Chats, OpenChats
from tidings import log
from tidings.app import App
from tidings.clock import Clock


@pytest.fixture
async def open_on(settings_for: Callable[..., Any]) -> AsyncIterator[OpenChats]:
    """Opens applications on a database, with settings and parts of the test's own."""
    async with AsyncExitStack() as stack:

        async def open_one(
            database_url: str,
            *,
            clock: Clock | None = None,
            providers: Any = None,
            model: Any = None,
            queue_settings: dict[str, str] | None = None,
            **settings: Any,
        ) -> Chats:
            app = App(
                settings_for(**{"database_url": database_url, **SETTINGS, **settings}),
                clock=clock,
                providers=providers,
                model=model,
                queue_settings={**BACKOFF, **(queue_settings or {})},
            )
            return Chats(await stack.enter_async_context(app))

        yield open_one


@pytest.fixture
def open_chats(open_on: OpenChats, database_url: str) -> OpenChats:
    """Opens applications on a database of each kind."""

    async def open_one(**options: Any) -> Chats:
        return await open_on(database_url, **options)

    return open_one


@pytest.fixture
async def chats(open_chats: OpenChats) -> Chats:
    """An application without an AI, whose workers do not run yet."""
    return await open_chats()


@pytest.fixture
async def local(open_on: OpenChats, migrated_sqlite: Path, tmp_path: Path) -> Chats:
    """The same on SQLite alone, for what does not depend on the database."""
    return await open_on(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'local.db')}")


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Everything that is logged, as it would be written."""
    stream = io.StringIO()
    log.configure(level="DEBUG", json=True, stream=stream)
    yield stream
    log.configure(level="DEBUG", json=True)
