"""The two servers of `tidings demo chat`: Tidings' own with the widget, and a customer's that takes webhooks."""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from tidings.cli.serve import Server
from tidings.providers.webhooks.signatures import sign

HOST = "127.0.0.1"


class Receiver:
    """A customer's server. It checks every signature with the endpoint's `secret` and counts what it took."""

    def __init__(self) -> None:
        self.secret: str | None = None
        self.taken: Counter[str] = Counter()
        self.forged = 0
        self.ids: set[str] = set()
        self.app = FastAPI()
        self.app.post("/webhooks")(self._take)

    async def _take(self, request: Request) -> Response:
        body, headers = await request.body(), request.headers
        if self.secret is None or not _is_signed(self.secret, headers, body):
            self.forged += 1
            return Response(status_code=401)
        webhook_id = headers["x-webhook-id"]
        if webhook_id not in self.ids:  # a repetition is acknowledged and not counted
            self.ids.add(webhook_id)
            self.taken[headers["x-webhook-event"]] += 1
        return Response(status_code=204)


def _is_signed(secret: str, headers: Any, body: bytes) -> bool:
    """Whether one of the signatures is the one that the secret makes (Standard Webhooks, version 1.0.0)."""
    seconds = headers.get("webhook-timestamp", "")
    if not seconds.isdecimal():
        return False
    moment = datetime.fromtimestamp(int(seconds), UTC)
    expected = sign([secret], headers.get("webhook-id", ""), moment, body)
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in given)


@asynccontextmanager
async def serving(app: FastAPI, port: int = 0) -> AsyncIterator[str]:
    """Serves `app` on this machine, on a free port when `port` is 0; gives its address.

    Raises OSError when the port is taken.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
        server = Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started and not running.done():
                await asyncio.wait({running}, timeout=0.01)
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
