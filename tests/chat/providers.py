"""Local providers on real sockets: Meta's Graph API and the WhatsApp QR service, as far as chats use them."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from chat.support import APP_SECRET, NUMBER, USER

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Posted:
    """One request; header names are lower-case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """The text that a user would read."""
        text: str = self.body["text"]["body"] if "text" in self.body else self.body["message"]
        return text

    @property
    def key(self) -> str:
        """Tidings' own name for the message."""
        key: str = self.body.get("biz_opaque_callback_data") or self.body["idempotencyKey"]
        return key


class Provider:
    """Answers POSTs with what `answer` makes of them, by default with an id; `posted` are all that came."""

    def __init__(self, answer: Callable[[Posted], Answer | Awaitable[Answer | None] | None] | None = None) -> None:
        self.answer = answer or (lambda posted: None)
        self.posted: list[Posted] = []
        self._numbers = itertools.count(1)
        self._arrived = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def has(self, count: int) -> list[Posted]:
        """The requests, once so many have come."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.posted) >= count)
        return list(self.posted)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                posted = Posted(head[0].split(" ")[1], headers, body)
                async with self._arrived:
                    self.posted.append(posted)
                    self._arrived.notify_all()
                answer = self.answer(posted)
                if isinstance(answer, Awaitable):
                    answer = await answer
                status, content = answer or (200, self._taken(posted))
                data = json.dumps(content).encode()
                writer.write(
                    f"HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(data)}\r\n\r\n".encode()
                    + data
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _taken(self, posted: Posted) -> dict[str, Any]:
        number = next(self._numbers)
        if posted.path == "/send":
            return {"messageId": f"QR{number}"}
        return {"messaging_product": "whatsapp", "messages": [{"id": f"wamid.out{number}"}]}


def refusal(code: int, status: int = 400) -> Answer:
    """An error of Meta's."""
    return status, {"error": {"message": f"(#{code}) refused", "code": code, "fbtrace_id": "A1"}}


def text_event(text: str, wamid: str, sender: str = USER) -> dict[str, Any]:
    """One message in a webhook of Meta's."""
    return {
        "from": sender.removeprefix("+"),
        "id": wamid,
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }


def echo_event(text: str, wamid: str, to: str = USER) -> dict[str, Any]:
    """One message that the business wrote in its phone app, in a webhook of Meta's."""
    sent = text_event(text, wamid, "+15550783881")
    return {**sent, "to": to.removeprefix("+")}


def status_event(status: str, wamid: str, key: str | None = None, **more: Any) -> dict[str, Any]:
    """One status in a webhook of Meta's."""
    return {
        "id": wamid,
        "status": status,
        "timestamp": "1795521700",
        "recipient_id": USER.removeprefix("+"),
        **({"biz_opaque_callback_data": key} if key else {}),
        **more,
    }


def preference(value: str, *, at: int = 1795521800, **more: Any) -> dict[str, Any]:
    """What a user told WhatsApp about marketing messages: stop or resume."""
    return {
        "wa_id": USER.removeprefix("+"),
        "detail": f"User requested to {value} marketing messages",
        "category": "marketing_messages",
        "value": value,
        "timestamp": at,
        **more,
    }


def webhook(
    *,
    messages: list[dict[str, Any]] | None = None,
    statuses: list[dict[str, Any]] | None = None,
    preferences: list[dict[str, Any]] | None = None,
    echoes: list[dict[str, Any]] | None = None,
    number: str = NUMBER,
) -> bytes:
    """The body of a request of Meta's."""
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": number},
        "contacts": [{"profile": {"name": "Ada"}, "wa_id": USER.removeprefix("+")}],
        **({"messages": messages} if messages else {}),
        **({"statuses": statuses} if statuses else {}),
        **({"user_preferences": preferences} if preferences else {}),
        **({"message_echoes": echoes} if echoes else {}),
    }
    field = "user_preferences" if preferences else "smb_message_echoes" if echoes else "messages"
    entry = {"id": "102290129340398", "changes": [{"field": field, "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def signed(body: bytes, secret: str = APP_SECRET) -> dict[str, str]:
    """Meta's headers."""
    digest = hmac.digest(secret.encode(), body, "sha256").hex()
    return {"X-Hub-Signature-256": f"sha256={digest}", "Content-Type": "application/json"}
