"""Customer webhooks: events posted to the URLs that customers have named."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from pydantic import Field

from tidings.clock import SystemClock
from tidings.errors import InvalidInput, SendError
from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.providers.http import HttpResponse, encode
from tidings.providers.responses import raise_for_response
from tidings.providers.webhooks.addresses import Address, Target, may_connect, read_url, refusal
from tidings.providers.webhooks.connections import Connections, Unreachable
from tidings.providers.webhooks.names import Resolver, SystemResolver
from tidings.providers.webhooks.signatures import sign, unix_seconds
from tidings.settings import SettingsGroup

_MAX_ADDRESSES = 2  # a deadline has time for no more


class WebhookSettings(SettingsGroup):
    """Where customers' webhooks may go."""

    webhooks_allow_private: bool = Field(
        False,
        description="Let customer webhooks go to private and loopback addresses, for development.",
    )


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One attempt at handing one event to one customer.

    `id` is the same for every attempt at an event, so that a receiver can drop the repetition; `attempt`
    counts from 1. `secrets` are those that sign: the current one and, while keys rotate, the previous one.
    """

    url: str = field(repr=False)
    event: str
    id: str
    attempt: int
    payload: Mapping[str, Any] = field(repr=False)
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookAccount:
    """A customer's endpoint, named `key`, and the secrets that sign what it gets."""

    key: str
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A customer's server took an event: its 2xx status, and milliseconds from the look-up to its last byte."""

    status: int
    duration_ms: int


class EndpointGone(SendError):
    """The server answered 410: it wants no more webhooks, and the endpoint is to be disabled."""


class Webhooks:
    """Posts signed events, within a deadline, to addresses that customers may choose.

    `timeout` is seconds from looking the host up to the last byte of the answer. `allow_private` permits
    private and loopback addresses, and unencrypted webhooks to them; use it only where whoever may name URLs may
    also call every server in the network. `ca` are PEM certificates of authorities trusted beside the system's.

    Whatever is not a 2xx is tried again, since a server may answer 404 or 401 while it is being mended; only 410 and
    the last attempt are final. One customer's server never slows another's down, so nothing here is `throttled`.

    Every attempt looks the host up, judges all its addresses and connects to one that was judged, so that a
    name that changes its meaning in between leads nowhere (DNS rebinding). Any number of tasks may share one.
    """

    name = "webhook"
    drops_repetitions = True

    def __init__(
        self,
        *,
        allow_private: bool = False,
        timeout: float = 10.0,
        resolver: Resolver | None = None,
        ca: bytes | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._timeout = timeout
        self._resolver = resolver or SystemResolver()
        self._connections = Connections(timeout, ca)
        self._closed = False

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Posts one event. Its metadata are `event`, `payload`, the `attempt` and whether it is the `last` one.

        Raises EndpointGone, which is final, on 410, otherwise SendError; a wait that the server asks for is honoured.
        """
        if not isinstance(outgoing.account, WebhookAccount):
            raise SendError("the event names no endpoint", retryable=False)
        facts = outgoing.metadata
        try:
            await self.deliver(
                WebhookRequest(
                    url=outgoing.to,
                    event=facts["event"],
                    id=outgoing.idempotency_key,
                    attempt=facts["attempt"],
                    payload=facts["payload"],
                    secrets=outgoing.account.secrets,
                )
            )
        except EndpointGone:
            raise
        except SendError as error:
            wait = None if facts["last"] else error.retry_after
            raise SendError(str(error), retryable=not facts["last"], retry_after=wait) from error
        return Receipt(self.name)

    async def deliver(self, request: WebhookRequest) -> Delivered:
        """Hands one event over; only a 2xx status means that it was taken.

        The headers are X-Webhook-Event, X-Webhook-ID and X-Webhook-Attempt, and those of Standard Webhooks
        (see `signatures`). Raises EndpointGone on 410, otherwise SendError as `raise_for_response` and
        `HttpClient.post_json` say. Its sentence names the host only: the URL may hold a secret, and an answer may
        repeat it.
        """
        try:
            target = read_url(request.url, allow_private=self._allow_private)
            body = encode(target.host, request.payload)
            headers = _headers(request, body)
        except InvalidInput as error:
            raise SendError(f"the webhook cannot be sent: {error}", retryable=False) from error
        if self._closed:
            raise SendError(f"nothing was sent to {target.host}: Tidings is stopping", retryable=True)
        time = asyncio.get_running_loop().time
        started = time()
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._post(target, body, headers)
        except TimeoutError as error:
            sentence = f"{target.host} did not answer in time; a webhook has {self._timeout:g} s"
            raise SendError(sentence, retryable=True) from error
        _raise_unless_taken(target.host, response)
        return Delivered(response.status, round((time() - started) * 1000))

    async def close(self) -> None:
        """Drops every connection. Webhooks under way end with a retryable SendError."""
        self._closed = True
        await self._connections.close()
        await self._resolver.close()

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        first, *others = await self._addresses(target)
        others.sort(key=lambda address: address.version == first.version)  # where IPv6 fails, IPv4 may work
        *fallbacks, last = [first, *others][:_MAX_ADDRESSES]
        for address in fallbacks:
            try:
                return await self._connections.post(target, address, body, headers)
            except Unreachable:
                continue
        return await self._connections.post(target, last, body, headers)

    async def _addresses(self, target: Target) -> list[Address]:
        if target.address is not None:
            return [target.address]
        try:
            found = await self._resolver.resolve(target.host, target.port)
        except OSError as error:
            reason = f": {error.strerror}" if error.strerror else ""
            raise SendError(f"no address of {target.host} was found{reason}", retryable=True) from error
        if not found:
            raise SendError(f"no address of {target.host} was found", retryable=True)
        addresses = [ip_address(text) for text in found]
        if not may_connect(addresses, encrypted=target.encrypted, allow_private=self._allow_private):
            raise SendError(refusal(target.host, self._allow_private), retryable=False)
        return addresses


def _headers(request: WebhookRequest, body: bytes) -> dict[str, str]:
    # Receivers compare the timestamp with the world's clock, also when Tidings runs on a faster one.
    now = SystemClock().now()
    return {
        "content-type": "application/json",
        "x-webhook-event": request.event,
        "x-webhook-id": request.id,
        "x-webhook-attempt": str(request.attempt),
        "webhook-id": request.id,
        "webhook-timestamp": str(unix_seconds(now)),
        "webhook-signature": sign(request.secrets, request.id, now, body),
    }


def _raise_unless_taken(host: str, response: HttpResponse) -> None:
    if 300 <= response.status < 400:
        raise SendError(
            f"{host} answered {response.status}: webhooks follow no redirects; enter the URL that it leads to",
            retryable=False,
        )
    if response.status == HTTPStatus.GONE:
        raise EndpointGone(f"{host} answered 410: it wants no more webhooks", retryable=False)
    # Many servers repeat the path in their answers, so none is quoted.
    raise_for_response(host, HttpResponse(response.status, response.headers, b""), SystemClock().now())


def open_provider(parts: ProviderParts) -> Mapping[str, Provider]:
    """Customers' webhooks."""
    allow_private = parts.settings_of(WebhookSettings).webhooks_allow_private
    return {Webhooks.name: Webhooks(allow_private=allow_private, timeout=parts.settings.http_timeout)}
