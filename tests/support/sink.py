"""A webhook on a real socket, with the manners of a provider: it remembers what it took by idempotency key."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

Answer = Callable[[dict[str, Any]], tuple[int, dict[str, str]]]


class Sink:
    """Takes POSTs at `url`, which is on a free port or on `port`. `answer` may decide the status and headers of a
    payload; by default it is 200. Its end is that of a process that is killed: connections are dropped."""

    def __init__(self, answer: Answer | None = None, port: int = 0) -> None:
        self.answer = answer or (lambda payload: (200, {}))
        self.requests: Counter[str] = Counter()
        self.taken: dict[str, dict[str, Any]] = {}
        self._arrived = asyncio.Condition()
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/webhook"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def wait_for(self, messages: int) -> None:
        """Waits until that many different messages were taken."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.taken) >= messages)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:])
                }
                payload = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))))
                status, more = self.answer(payload)
                key = headers["idempotency-key"]
                self.requests[key] += 1
                if status < 300:
                    async with self._arrived:
                        self.taken.setdefault(key, payload)
                        self._arrived.notify_all()
                lines = [f"HTTP/1.1 {status} Answer", "content-length: 0", *(f"{n}: {v}" for n, v in more.items())]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()
