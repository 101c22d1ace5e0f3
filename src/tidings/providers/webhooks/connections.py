"""HTTP connections that go to one address only, whatever the host's name means by now."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version

from pyreqwest.client import Client, ClientBuilder

from tidings.errors import SendError
from tidings.providers.http import CONNECT_TIMEOUT, IDLE, HttpClient, HttpResponse
from tidings.providers.webhooks.addresses import Address, Target

MAX_CLIENTS = 64
"""Pairs of host and address whose connections are kept for the next webhook."""

_IDLE_CONNECTIONS = 4  # a client


class Unreachable(SendError):
    """No connection came about, so nothing of the webhook was sent and another address may be tried."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class PinnedClient(HttpClient):
    """An HttpClient whose client was built to connect to one address."""

    def __init__(self, client: Client, timeout: float) -> None:
        super().__init__(timeout)
        self._client = client

    async def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        """Posts these very bytes and returns the answer, whatever its status.

        Raises Unreachable when nothing was sent, and SendError as `HttpClient.post_json` does.
        """
        try:
            return await self._post(target.host, target.url, body, headers, repeatable=True)
        except SendError as error:
            if error.retryable and not error.unknown:
                raise Unreachable(str(error)) from error
            raise


@dataclass(slots=True)
class _Entry:
    client: PinnedClient
    users: int = 0


class Connections:
    """A client for each pair of host and address, the least recently used dropped first.

    The name stays the host's in TLS and in the header Host. Proxies of the environment are not used, as they
    would look the name up again; redirects are not followed. `timeout` is seconds for a whole request, and half
    of it, at most 5 s, for connecting. `ca` are PEM certificates of authorities trusted beside the system's.
    """

    def __init__(self, timeout: float, ca: bytes | None = None, limit: int = MAX_CLIENTS) -> None:
        self._timeout = timeout
        self._ca = ca
        self._limit = limit
        self._entries: OrderedDict[tuple[str, Address], _Entry] = OrderedDict()
        self._building = asyncio.Lock()
        self._closed = False

    async def post(self, target: Target, address: Address, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        """Posts to `target` at `address`, as `PinnedClient.post` says."""
        async with self._client(target.host, address) as client:
            return await client.post(target, body, headers)

    async def close(self) -> None:
        """Drops every connection. Requests under way end with a retryable SendError."""
        self._closed = True
        entries = list(self._entries.values())
        self._entries.clear()
        for entry in entries:
            await entry.client.close()

    @asynccontextmanager
    async def _client(self, host: str, address: Address) -> AsyncIterator[PinnedClient]:
        key = (host, address)
        if key not in self._entries:
            await self._build(key)
        if self._closed:
            raise SendError(f"nothing was sent to {host}: Tidings is stopping", retryable=True)
        entry = self._entries[key]
        self._entries.move_to_end(key)
        entry.users += 1
        try:
            yield entry.client
        finally:
            entry.users -= 1

    async def _build(self, key: tuple[str, Address]) -> None:
        async with self._building:
            if key in self._entries:
                return
            await self._make_room()
            # Reading the system's certificates takes milliseconds, in which other messages may fall due.
            client = PinnedClient(await asyncio.to_thread(self._open, *key), self._timeout)
            self._entries[key] = _Entry(client)
            if self._closed:
                await self.close()

    async def _make_room(self) -> None:
        """Drops the clients that are longest out of use; those in use may exceed the limit for a while."""
        idle = [key for key, entry in self._entries.items() if not entry.users]
        surplus = max(len(self._entries) + 1 - self._limit, 0)
        for entry in [self._entries.pop(key) for key in idle[:surplus]]:
            await entry.client.close()

    def _open(self, host: str, address: Address) -> Client:
        builder = (
            ClientBuilder()
            .no_proxy()
            .resolve(host, str(address), 0)  # 0 leaves the port to the URL
            .connect_timeout(timedelta(seconds=min(CONNECT_TIMEOUT, self._timeout / 2)))
            .timeout(timedelta(seconds=self._timeout))
            .follow_redirects(False)
            .referer(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .pool_idle_timeout(timedelta(seconds=IDLE))
            .pool_max_idle_per_host(_IDLE_CONNECTIONS)
            .user_agent(f"tidings/{version('tidings')}")
        )
        return (builder.add_root_certificate_pem(self._ca) if self._ca else builder).build()
