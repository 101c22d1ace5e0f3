"""The desk that proactive tests work at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from proactive.desk import NOW, Desk
from tidings.app import App
from tidings.clock import ManualClock

OpenApp = Callable[..., Awaitable[App]]


@pytest.fixture
async def desk(open_app: OpenApp, database_url: str) -> Desk:
    clock = ManualClock(NOW)
    return Desk(await open_app(clock=clock, database_url=database_url), clock)
