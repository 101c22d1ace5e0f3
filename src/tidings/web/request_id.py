"""A request id for every request: taken over or made, bound to every log line, returned to the caller."""

from __future__ import annotations

import re
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from tidings.log import get_logger, new_request_id
from tidings.web.access import HEALTH_PATHS
from tidings.web.errors import instance_of

HEADER = "X-Request-Id"

_SANE = re.compile(r"[A-Za-z0-9._-]{1,100}")  # goes into logs and job data, so nothing that could forge either

log = get_logger(__name__)


class RequestIds:
    """ASGI middleware: binds `request_id` for structlog and logs one line a request, probes only at debug level."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _SANE.fullmatch(given) else new_request_id()
        status = 500
        started = time.perf_counter()

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, with_id)
            finally:
                note = log.debug if scope["path"] in HEALTH_PATHS else log.info
                note(
                    "request",
                    method=scope["method"],
                    path=instance_of(scope),
                    status=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                )
