"""Mitto on a real socket: it notes what was posted under which key, and answers as its documentation says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Mitto:
    """Takes SMS at `url`. `taken` are API keys and bodies."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        assert line.startswith("POST /sms ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        sent = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.taken.append((headers["x-mitto-api-key"], sent))
        answer = {"id": f"mitto-{len(self.taken)}", "responseCode": 0, "responseText": "OK"}
        body = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()


@asynccontextmanager
async def mitto_server() -> AsyncIterator[Mitto]:
    mitto = Mitto()
    server = await asyncio.start_server(mitto.serve, "127.0.0.1", 0)
    mitto.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sms"
    try:
        yield mitto
    finally:
        server.close()
        await server.wait_closed()
