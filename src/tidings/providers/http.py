"""The one outgoing HTTP client, shared by every provider that takes messages over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    DecodeError,
    DetailedPyreqwestError,
    NetworkError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.http import HeaderMap
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from tidings.errors import SendError

CONNECT_TIMEOUT = 5.0
"""Seconds to reach a provider, TLS included; at most half of what the whole request has."""

IDLE = 4.0
"""Seconds for which an idle connection is used again. Many servers close theirs after 5 (Node's default), and a
request that meets the close is lost."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A provider's answer.

    Names in `headers` are lower-case; several values of one name are joined by ", " (RFC 9110, section
    5.3), and a header that is not ASCII is left out. `body` is cut at the client's limit.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Headers(Mapping[str, str]):
    """The headers of an answer, read when somebody asks for one: of most answers nobody does."""

    def __init__(self, headers: HeaderMap) -> None:
        self._headers = headers

    @cached_property
    def _found(self) -> dict[str, str]:
        found = {}
        for name in dict.fromkeys(self._headers.keys()):
            try:
                found[name.lower()] = ", ".join(self._headers.getall(name))
            except ValueError:
                continue
        return found

    def __getitem__(self, name: str) -> str:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class HttpClient:
    """Posts JSON, reuses connections, and never waits longer than its deadline.

    `timeout` is seconds from connecting to the last byte of the answer. Redirects are not followed: a
    provider that moved is a matter for its setting. Of an answer, `max_response_bytes` are read; the rest
    is left unread and its connection dropped. A cut answer is no error, because its status has already
    said what became of the message. The proxy variables of the environment (HTTPS_PROXY, NO_PROXY) apply.

    Any number of tasks may share one client. Its sockets open with the first request. To read the authorities that it
    trusts takes some milliseconds, with the first request or before, with `open`.
    """

    def __init__(self, timeout: float = 10.0, max_response_bytes: int = 64 * 1024) -> None:
        self._timeout = timeout
        self._max_response_bytes = max_response_bytes
        self._client: Client | None = None
        self._closed = False

    async def post_json(
        self,
        url: str,
        payload: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = False,
    ) -> HttpResponse:
        """Posts `payload` as UTF-8 JSON (RFC 8259) and returns the answer, whatever its status.

        Raises SendError: retryable when the provider cannot be reached, answers too late or breaks its
        answer off; `away` when no connection came about, and otherwise `unknown`; final when the URL, a header or the
        payload cannot be sent at all. Its sentence names the provider's host and nothing else of the URL, which may
        hold a secret.

        A server may close an idle connection just as a request is sent on it, and nothing tells that from one that
        took the request and then hung up. A `repeatable` request, which does no harm twice, is posted once more then.
        """
        host = _host(url)
        if self._closed:
            raise SendError(f"nothing was sent to {host}: Tidings is stopping", retryable=True, retry_after=0.0)
        return await self._post(host, url, encode(host, payload), headers or {}, repeatable=repeatable)

    async def _post(
        self, host: str, url: str, body: bytes, headers: Mapping[str, str], *, repeatable: bool
    ) -> HttpResponse:
        started = time.monotonic()
        try:
            return await self._exchange(host, self._request(host, url, body, headers))
        except SendError as error:
            left = self._timeout - (time.monotonic() - started)
            if not (repeatable and error.unknown and isinstance(error.__cause__, NetworkError) and left > 0):
                raise
            request = self._request(host, url, body, headers, timeout=left)
        return await self._exchange(host, request)

    async def _exchange(self, host: str, request: StreamRequest) -> HttpResponse:
        try:
            async with request as response:
                body = await self._read(response)
                return HttpResponse(response.status, Headers(response.headers), body)
        except PyreqwestError as error:
            final = isinstance(error, BuilderError)
            away = not final and _is_unconnected(error)
            raise SendError(
                self._sentence(host, error), retryable=not final, unknown=not (final or away), away=away
            ) from error

    async def close(self) -> None:
        """Drops every connection. Requests under way end with a retryable SendError."""
        self._closed = True
        if self._client is not None:
            await self._client.close()

    def _request(
        self, host: str, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float | None = None
    ) -> StreamRequest:
        try:
            request = self.open().post(url).headers({"content-type": "application/json", **headers})
            if timeout is not None:
                request = request.timeout(timedelta(seconds=timeout))
            return request.body_bytes(body).build_streamed()
        except ValueError as error:  # its text may quote the URL or a header
            raise SendError(
                f"the request to {host} cannot be made: its URL or a header is malformed", retryable=False
            ) from error

    def open(self) -> Client:
        """Makes the client, unless it is made."""
        if self._client is None:
            self._client = self._build()
        return self._client

    def _build(self) -> Client:
        # Answers are short, so none is asked for in a compressed form: one thing less that can break after
        # a provider took the message.
        return (
            ClientBuilder()
            .timeout(timedelta(seconds=self._timeout))
            .connect_timeout(timedelta(seconds=min(CONNECT_TIMEOUT, self._timeout / 2)))
            .pool_idle_timeout(timedelta(seconds=IDLE))
            .follow_redirects(False)
            .referer(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .user_agent(f"tidings/{version('tidings')}")
            .build()
        )

    async def _read(self, response: Response) -> bytes:
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length) <= self._max_response_bytes:
            return bytes(await response.bytes())
        body = bytearray()
        while len(body) < self._max_response_bytes:
            chunk = await response.body_reader.read(self._max_response_bytes - len(body))
            if chunk is None:
                break
            body += memoryview(chunk)
        return bytes(body)

    def _sentence(self, host: str, error: PyreqwestError) -> str:
        match error:
            case RequestTimeoutError() if _is_unconnected(error):
                return f"no connection to {host} came about in time"
            case RequestTimeoutError():
                return f"{host} did not answer in time; a request has {self._timeout:g} s"
            case ClientClosedError():
                return f"{host} had not answered when Tidings stopped"
            case BuilderError():
                return f"the request to {host} cannot be made{_cause(error)}"
            case DecodeError():
                return f"{host} gave a broken answer{_cause(error)}"
            case NetworkError():
                return f"the connection to {host} failed{_cause(error)}"
            case _:
                return f"the request to {host} failed{_cause(error)}"


def _is_unconnected(error: PyreqwestError) -> bool:
    """Whether no connection came about, so that nothing was sent.

    The error's class does not say it: whoever hangs up on a whole request, or never answers one, is reported as a
    ConnectError or a ConnectTimeoutError, too.
    """
    causes = (error.details.get("causes") if isinstance(error, DetailedPyreqwestError) else None) or []
    return any(cause["message"] == "client error (Connect)" for cause in causes)


_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(host: str, payload: Mapping[str, Any]) -> bytes:
    """A payload for `host` as JSON without needless spaces. Raises SendError, which is final, where it is no JSON."""
    try:
        return _to_json(payload).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = "holds half a character" if isinstance(error, UnicodeError) else f"is not JSON: {error}"
        raise SendError(f"nothing was sent to {host}: the message {kind}", retryable=False) from error


@lru_cache(maxsize=256)
def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the provider"
    return f"{host}:{port}" if host and port else host or "the provider"


def _cause(error: PyreqwestError) -> str:
    """The innermost reason, as ": Connection refused"; outer ones quote the URL and are not for logs."""
    causes = (error.details.get("causes") if isinstance(error, DetailedPyreqwestError) else None) or []
    innermost = causes[-1]["message"] if causes else ""
    return f": {innermost}" if innermost and "://" not in innermost else ""
