"""How large a request body may be."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidings.web.errors import TOO_LARGE, respond


class BodyLimit:
    """ASGI middleware: a larger body is answered with 413 (RFC 9110, section 15.5.14).

    A Content-Length beyond the limit is refused before a byte is read, so a caller that sent
    `Expect: 100-continue` never sends the body. A chunked body is refused when it grows beyond the limit.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._limit = max_body_bytes
        self._detail = f"The body has more than {max_body_bytes:,} bytes; send less, or raise TIDINGS_MAX_BODY_BYTES."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared(scope) > self._limit:
            await respond(scope, TOO_LARGE, self._detail)(scope, receive, send)
            return
        received = 0
        answered = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received <= self._limit:
                return message
            if answered:  # too late for a 413, so whoever reads on is told that the body never ends
                return {"type": "http.disconnect"}
            # FastAPI turns every other exception from here into a 400.
            raise HTTPException(TOO_LARGE.status, self._detail)

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = answered or message["type"] == "http.response.start"
            await send(message)

        await self._app(scope, counted, watched)


def _declared(scope: Scope) -> int:
    """The Content-Length, 0 when there is none; servers refuse malformed ones before they get here."""
    digits = Headers(scope=scope).get("content-length", "").lstrip("0")[:20]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
