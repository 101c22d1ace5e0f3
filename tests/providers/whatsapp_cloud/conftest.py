"""The provider and the server that it talks to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from providers.whatsapp_cloud.graph_server import GraphServer
from tidings.providers.http import HttpClient
from tidings.providers.whatsapp_cloud.send import WhatsAppCloud


@pytest.fixture
async def meta() -> AsyncIterator[GraphServer]:
    meta = GraphServer()
    listener = await asyncio.start_server(meta.serve, "127.0.0.1", 0)
    meta.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield meta
    listener.close()
    await listener.wait_closed()


@pytest.fixture
async def cloud(meta: GraphServer) -> AsyncIterator[WhatsAppCloud]:
    http = HttpClient()
    yield WhatsAppCloud(http, meta.url)
    await http.close()


@pytest.fixture
async def hasty(meta: GraphServer) -> AsyncIterator[WhatsAppCloud]:
    http = HttpClient(timeout=0.2)
    yield WhatsAppCloud(http, meta.url)
    await http.close()
