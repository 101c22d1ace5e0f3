"""The endpoints that these tests call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from messages.routes.api import KEY, NOW, SECRET, Api, OpenApp
from tidings.clock import ManualClock


@pytest.fixture
async def api(open_app: OpenApp, database_url: str) -> AsyncIterator[Api]:
    app = await open_app(
        clock=ManualClock(NOW), database_url=database_url, api_key=KEY, n8n_inbound_secret=f" {SECRET}\n"
    )
    transport = httpx.ASGITransport(app=app.http())
    async with httpx.AsyncClient(transport=transport, base_url="http://tidings.example") as http:
        yield Api(app, http)
