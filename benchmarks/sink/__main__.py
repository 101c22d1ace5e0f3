"""The sink's process: python -m benchmarks.sink. It says its port in a line and ends with its input.

POST takes a message. GET answers how many came; GET /arrivals with all of them as JSON, [[key, epoch seconds], …];
DELETE forgets them, and DELETE /arrivals tells them once more.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import cast

import uvloop

from benchmarks.sink.requests import Request, Requests

KEYS = ("message_id", "id")
"""Where a body's JSON has what identifies the message, the first one that is there."""

_BODY = b'{"message":"ok"}'
_TAKEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Arrivals:
    """What came, in its order. Bodies are read when somebody asks, so that taking one costs next to nothing."""

    def __init__(self) -> None:
        self._taken: list[tuple[float, bytes]] = []

    def take(self, body: bytes) -> None:
        self._taken.append((time.time(), body))

    def answer(self, request: Request) -> bytes:
        told = self._taken
        if request.line.startswith(b"DELETE"):
            self._taken = []
        if request.line.split(b" ")[1] == b"/arrivals":
            return json.dumps([[_key(body), at] for at, body in told]).encode()
        return b"%d" % len(self._taken)


def _key(body: bytes) -> object:
    message = json.loads(body)
    return next((message[name] for name in KEYS if name in message), None)


class Connection(asyncio.Protocol):
    """One connection, kept alive; several requests at once are answered at once."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._requests = Requests()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        answers = b""
        for request in self._requests.feed(data):
            if request.line.startswith(b"POST"):
                self._arrivals.take(request.body)
                answers += _TAKEN
            else:
                body = self._arrivals.answer(request)
                answers += b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        if answers:
            self._transport.write(answers)


async def main() -> None:
    loop = asyncio.get_running_loop()
    arrivals = Arrivals()
    server = await loop.create_server(lambda: Connection(arrivals), "127.0.0.1", 0, backlog=1024)
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    gc.collect()
    gc.disable()  # nothing here has cycles, and a collection would walk through every arrival
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.read()


if __name__ == "__main__":
    uvloop.run(main())
