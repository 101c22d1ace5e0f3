"""Meta's Graph API, as good or as bad as a test wants it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from tidings.providers.whatsapp_cloud.send import CloudAccount

TOKEN = "EAAJB0123456789secret"
ACCOUNT = CloudAccount("106540352242922", TOKEN)
WAMID = "wamid.HBgLMTY1MDUwNzY1MjAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
TO = "+16505551234"


def fault(code: int | None, message: str = "words", **more: Any) -> dict[str, Any]:
    """An error answer as Meta documents it."""
    details = more.pop("details", None)
    error: dict[str, Any] = {"message": message, "type": "OAuthException", "fbtrace_id": "Az8or2yhqkZfEZ-_4Qn_Bam"}
    if code is not None:
        error["code"] = code
    if details is not None:
        error["error_data"] = {"messaging_product": "whatsapp", "details": details}
    return {"error": error | more}


@dataclass
class GraphServer:
    """POST /{version}/{phone number ID}/messages of the Graph API; a prepared `body` replaces its answer."""

    status: int = 200
    headers: bytes = b""
    body: bytes | None = None
    missing: int = 0  # bytes of the answer that never come
    drip: bytes = b""  # what comes every 20 ms instead of an answer
    silent: bool = False
    paths: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    refuses_texts: dict[str, Any] | None = None  # what a text is answered, while a template is taken
    url: str = ""

    def refuses(self, status: int, answer: dict[str, Any], headers: bytes = b"") -> None:
        self.status, self.headers, self.body = status, headers, json.dumps(answer).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
        request = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.paths.append(head[0])
        self.requests.append(request)
        if self.silent:
            await reader.read()  # until the client gives up
            return
        if self.drip:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
            while not reader.at_eof() and not writer.is_closing():
                writer.write(self.drip)
                await writer.drain()
                await asyncio.sleep(0.02)
            return
        status, answer = self.outcome(headers.get("authorization"), request)
        if self.refuses_texts is not None and request["type"] == "text":
            status, answer = 400, self.refuses_texts
        body = json.dumps(answer).encode() if self.body is None else self.body
        writer.write(
            b"HTTP/1.1 %d Status\r\nConnection: close\r\n%bContent-Length: %d\r\n\r\n%b"
            % (self.status if self.body is not None else status, self.headers, len(body) + self.missing, body)
        )

    @staticmethod
    def outcome(authorization: str | None, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if authorization != f"Bearer {TOKEN}":
            return 401, fault(190, f"Malformed access token {(authorization or '').removeprefix('Bearer ')}")
        if request.get("messaging_product") != "whatsapp":
            return 400, fault(100, "(#100) The parameter messaging_product is required.")
        if len(request.get("text", {}).get("body", "")) > 4096:
            return 400, fault(100, "(#100) Param text['body'] must be at most 4096 characters long.")
        person = request.get("to") or request.get("recipient")
        contact = {"input": person, "wa_id" if "to" in request else "user_id": person}
        message = {"id": WAMID}
        if request["type"] == "template":
            message["message_status"] = "accepted"
        return 200, {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}
