"""A network before PostgreSQL that falls silent, and a server that answers with whatever SQLSTATE a test wants.

Messages are read as PostgreSQL 15's documentation has them, chapter 55.7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

from sqlalchemy import make_url

_ENCRYPTION = (80877103, 80877104)  # SSLRequest, GSSENCRequest
_CANCEL = 80877102


class PostgresProxy:
    """Forwards a port of its own to the server at `address`, a socket in a folder, at first without a fault."""

    def __init__(self, address: str) -> None:
        self._to = make_url(address)
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self.is_silent = False
        self.connections = 0  # that were let through
        self.turned_away = 0
        self.at_connect: str | None = None  # SQLSTATE that whoever connects is turned away with
        self.at_command: str | None = None  # SQLSTATE that the next command is answered with; then it is forgotten

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The same database, by way of this proxy."""
        assert self._listener is not None
        port = self._listener.sockets[0].getsockname()[1]
        return self._to.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)

    def cut(self) -> None:
        """Resets all connections."""
        for end in self._ends:
            end.transport.abort()

    def fall_silent(self) -> None:
        """From now on connections are accepted, and nothing passes. Those of today never speak again."""
        self.is_silent = True
        self._silent |= self._ends

    def speak(self) -> None:
        """New connections work again; those of before stay dead, and neither end is told."""
        self.is_silent = False

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        if self.is_silent:
            self._silent.add(writer)
        self._tasks.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if writer in self._silent:
                await asyncio.Event().wait()
            greeting = await self._greeting(reader, writer)
            if self.at_connect is not None:
                self.turned_away += 1
                writer.write(_error(self.at_connect, "FATAL"))
                writer.close()
                return
            host = str(self._to.query["host"])
            from_server, to_server = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.5432")
            self._ends.add(to_server)
            self.connections += int.from_bytes(greeting[4:8]) != _CANCEL
            to_server.write(greeting)
            requests = asyncio.create_task(self._requests(reader, writer, to_server))
            replies = asyncio.create_task(self._replies(from_server, writer))
            await asyncio.wait({requests, replies}, return_when=asyncio.FIRST_COMPLETED)
            writer.transport.abort()
            to_server.transport.abort()

    async def _greeting(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        while True:
            length = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(length) - 4)
            if int.from_bytes(body[:4]) not in _ENCRYPTION:
                return length + body
            writer.write(b"N")

    async def _requests(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        skips = False  # up to the next Sync, as a server does after an error
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                if client in self._silent:
                    continue
                if self.at_command is not None and head[:1] in b"PBQ":
                    client.write(_error(self.at_command, "ERROR"))
                    self.at_command = None
                    skips = head[:1] != b"Q"
                    if not skips:
                        client.write(_READY)
                elif skips:
                    if head[:1] == b"S":
                        client.write(_READY)
                        skips = False
                else:
                    server.write(head + body)

    async def _replies(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(1 << 16):
                if client not in self._silent:
                    client.write(chunk)


_READY = b"Z" + (5).to_bytes(4) + b"I"


def _error(state: str, severity: str) -> bytes:
    def fields() -> Iterator[bytes]:
        for kind, value in (("S", severity), ("V", severity), ("C", state), ("M", f"answered {state}")):
            yield kind.encode() + value.encode() + b"\0"
        yield b"\0"

    body = b"".join(fields())
    return b"E" + (len(body) + 4).to_bytes(4) + body
