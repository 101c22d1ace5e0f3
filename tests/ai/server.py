"""An OpenAI-compatible server of a test's own: POST /v1/chat/completions on a real socket, answering as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """How one request is answered.

    With `text` alone it is a good chat completion; `finish_reason`, `message` (merged into the message) and
    `usage` vary it. `body` replaces the JSON, `headers` are added. With `pause` the body goes out byte by byte,
    that many seconds between two. `hang` answers never; `hang_up` closes the connection after that many bytes
    of the whole answer.
    """

    text: str | None = None
    status: int = 200
    finish_reason: str = "stop"
    message: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] | None = field(default_factory=lambda: {"prompt_tokens": 200, "completion_tokens": 30})
    model: str | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    pause: float | None = None
    hang: bool = False
    hang_up: int | None = None

    def content(self, asked: dict[str, Any]) -> bytes:
        """The body of the answer to a request that `asked`."""
        if self.body is not None:
            return self.body
        if self.status != 200:
            return json.dumps({"error": {"message": self.text, "type": "error", "code": None}}).encode()
        message = {"role": "assistant", "content": self.text, **self.message}
        completion = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_764_000_000,
            "model": self.model or asked.get("model", "unknown"),
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
        }
        if self.usage is not None:
            completion["usage"] = self.usage
        return json.dumps(completion).encode()


@dataclass(frozen=True)
class Request:
    """What a client sent; header names are lower-case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """Everything that the model was told."""
        return "\n".join(message["content"] for message in self.body["messages"])


class ModelServer:
    """Answers every request with what `answer` makes of its body: a text, or a Reply.

    `url` is what OPENAI_BASE_URL would be. `requests` are all that came, `connections` how many sockets, `asked`
    is set when a request has come.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], str | Reply]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.url = ""
        self._open: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self._server: asyncio.Server

    async def __aenter__(self) -> ModelServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open, timeout=5)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            del self._open[task]

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. Whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        method, path, _ = head[0].split(" ")
        self.requests.append(Request(path, headers, body))
        self.asked.set()
        if (method, path) != ("POST", "/v1/chat/completions"):
            reply = Reply("there is nothing here", status=404)
        else:
            answer = self.answer(body)
            reply = Reply(answer) if isinstance(answer, str) else answer
        if reply.hang:
            await reader.read()
            return False
        content = reply.content(body)
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        start = (
            f"HTTP/1.1 {reply.status} Told\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        )
        whole = f"{start}{extra}\r\n".encode() + content
        if reply.hang_up is not None:
            writer.write(whole[: reply.hang_up])
            await writer.drain()
            return False
        if reply.pause is None:
            writer.write(whole)
        else:
            writer.write(whole[: -len(content)])
            for byte in content:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(reply.pause)
        await writer.drain()
        return True
