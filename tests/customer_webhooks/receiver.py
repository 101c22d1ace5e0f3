"""A customer's server on a real socket: it remembers what it got, and answers as the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Posted:
    """One request."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw)
        return body

    @property
    def name(self) -> tuple[str, str, int]:
        """Event, id and attempt as the specification's headers have them."""
        return (
            self.headers["x-webhook-event"],
            self.headers["x-webhook-id"],
            int(self.headers["x-webhook-attempt"]),
        )

    def verified(self, secret: str) -> dict[str, Any]:
        """The body, checked as the Standard Webhooks library does. Raises WebhookVerificationError."""
        body: dict[str, Any] = Webhook(secret).verify(self.raw, self.headers)
        return body


@dataclass
class Receiver:
    """Takes POSTs at `url`. `answer` gives the status line and headers for a request; None never answers.

    `got` are the requests, `connections` counts also those on which nothing was asked.
    """

    answer: Callable[[Posted], tuple[str, dict[str, str]] | None] = lambda posted: ("204 No Content", {})
    got: list[Posted] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hooks?token=s3cret-in-url"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()

    async def has(self, count: int) -> list[Posted]:
        """The requests so far, once there are `count`."""
        async with asyncio.timeout(15):
            while len(self.got) < count:
                self._news.clear()
                await self._news.wait()
        return list(self.got)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
                posted = Posted(headers, await reader.readexactly(int(headers["content-length"])))
                self.got.append(posted)
                self._news.set()
                answer = self.answer(posted)
                if answer is None:
                    await reader.read()
                    return
                status, more = answer
                lines = [f"HTTP/1.1 {status}", "content-length: 0", *(f"{n}: {v}" for n, v in more.items()), "", ""]
                writer.write("\r\n".join(lines).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


def always(status: str, **headers: str) -> Callable[[Posted], tuple[str, dict[str, str]]]:
    """The same answer to everything; `retry_after` becomes the header of that name."""
    return lambda posted: (status, {name.replace("_", "-"): value for name, value in headers.items()})
