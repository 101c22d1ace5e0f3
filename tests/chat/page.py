"""A page of the widget without a browser: it says what the real one says."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket


class Page:
    """One page of one visitor of the chatbot that `widget_key` names, on the server at `server`.

    `origin` is the web site that the page is on, by default the server's own.
    """

    def __init__(
        self, server: str, widget_key: str, *, origin: str | None = "", visitor: str | None = None, after: int = 0
    ) -> None:
        self.visitor = visitor or secrets.token_hex(16)
        address = server.replace("http://", "ws://")
        self._address = f"{address}/widget/{widget_key}/socket?visitor={self.visitor}&after={after}"
        self._origin = server if origin == "" else origin
        self.frames: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self.socket: ClientConnection = await open_socket(self._address, origin=self._origin)  # type: ignore[arg-type]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """The next frame of one of these kinds; those before it are kept in `frames`."""
        async with asyncio.timeout(10):
            while True:
                frame: dict[str, Any] = json.loads(await self.socket.recv())
                self.frames.append(frame)
                if frame["type"] in kinds:
                    return frame

    async def hear_answer(self) -> dict[str, Any]:
        """The next message that is not the visitor's own, acknowledged as the page does it."""
        while True:
            frame = await self.hear("ready", "message", "missed")
            for message in frame["messages"]:
                if message["role"] != "user":
                    await self.say(type="delivered", ids=[message["id"]])
                    return dict(message)

    async def say(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def ask(self, text: str, client_id: str | None = None) -> dict[str, Any]:
        """Writes a message and returns the word that it is stored."""
        client_id = client_id or secrets.token_hex(8)
        await self.say(type="message", client_id=client_id, text=text)
        while True:
            frame = await self.hear("taken", "refused")
            if frame["client_id"] == client_id:
                return frame

    async def end(self) -> int:
        """The code with which the server closed the connection."""
        with suppress(Exception):
            async with asyncio.timeout(10):
                while True:
                    await self.socket.recv()
        return self.socket.close_code or 0
