"""Applications with a customer whose servers are on this machine, closed at the test's end."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from customer_webhooks.support import NOW, Hooks, OpenHooks
from tidings.app import App
from tidings.clock import Clock, ManualClock

BACKOFF = {"WEBHOOK_DELIVERY_BACKOFF": "0.02"}
"""Seconds before the second attempt, so that tests need not wait as long as customers."""


@pytest.fixture
async def open_on(settings_for: Callable[..., Any]) -> AsyncIterator[OpenHooks]:
    """Opens applications on a database; one that is not `private` has the default of where webhooks may go."""
    async with AsyncExitStack() as stack:

        async def open_one(
            database_url: str, *, clock: Clock | None = None, private: bool = True, **settings: Any
        ) -> Hooks:
            values = {"http_timeout": 5.0, **({"webhooks_allow_private": True} if private else {}), **settings}
            app = App(settings_for(database_url=database_url, **values), clock=clock, queue_settings=BACKOFF)
            await stack.enter_async_context(app)
            customer = await app.chat.accounts.create_customer({"name": "Corner Shop"})
            return Hooks(app, customer.id)

        yield open_one


@pytest.fixture
def open_hooks(open_on: OpenHooks, migrated_sqlite: Path, tmp_path: Path) -> OpenHooks:
    """Opens applications on SQLite, for what does not depend on which database it is."""

    async def open_one(**options: Any) -> Hooks:
        return await open_on(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'local.db')}", **options)

    return open_one


@pytest.fixture
async def hooks(open_on: OpenHooks, database_url: str) -> Hooks:
    """An application on a database of each kind."""
    return await open_on(database_url)


@pytest.fixture
async def still(open_on: OpenHooks, database_url: str) -> Hooks:
    """One whose clock stands still; its jobs are run by the test."""
    return await open_on(database_url, clock=ManualClock(NOW))


@pytest.fixture
async def local(open_hooks: OpenHooks) -> Hooks:
    """One on SQLite alone."""
    return await open_hooks()


@pytest.fixture
async def local_still(open_hooks: OpenHooks) -> Hooks:
    """One on SQLite alone whose clock stands still."""
    return await open_hooks(clock=ManualClock(NOW))
