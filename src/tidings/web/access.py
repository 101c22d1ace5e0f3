"""Who may call: holders of the API key, without one whoever is on this machine, and others below an address."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import compare_digest
from typing import NoReturn
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from tidings.errors import ConfigurationError
from tidings.web.errors import FORBIDDEN, MISDIRECTED, NOT_FOUND, UNAUTHORIZED, Kind, respond
from tidings.web.webhooks import PREFIX

HEALTH_PATHS = frozenset({"/health", "/ready", "/queue/health"})
"""Paths that probes read; they need no key and say nothing about messages."""

OPEN_PREFIXES = (PREFIX, "/widget/", "/unsubscribe/")
"""Paths that anybody may call: providers, visitors and readers of mails show who they are in their own way,
which the routes check."""


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Who has a key of their own: a `noun` such as shop, named `name`, whose addresses are below `folder` and name.

    `folder` is a path with a slash at both ends, `name` is in lower case.
    """

    noun: str
    folder: str
    name: str


HolderOfKey = Callable[[str], Awaitable[KeyHolder | None]]
"""Whose a key is, None when it is nobody's."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, section 9.2.1
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::\d*)?")


def usable_key(api_key: str | None) -> str | None:
    """The key as a header can carry it, or None when it is unset or blank: a blank key would let everybody in."""
    return (api_key or "").strip() or None


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only: `localhost`, 127.0.0.0/8 or ::1."""
    name = host.lower().removesuffix(".")
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def require_loopback_or_key(host: str, api_key: str | None) -> None:
    """Raises ConfigurationError when other machines could reach the API at `host` and no key guards it."""
    if usable_key(api_key) is None and not is_loopback(host):
        raise ConfigurationError(
            f"Listening on {host or 'every address'} lets other machines in. "
            "Set TIDINGS_API_KEY to a long random text, or listen on 127.0.0.1."
        )


class _Refused(Exception):
    def __init__(self, kind: Kind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = headers


class Access:
    """ASGI middleware that refuses whoever may not call; see `_check` and `_from_this_machine`.

    A holder's key (`holder_of_key`) opens the holder's addresses and nothing else: other addresses are forbidden to
    it, and other holders of the same kind do not exist for it.
    """

    def __init__(self, app: ASGIApp, api_key: str | None, holder_of_key: HolderOfKey | None = None) -> None:
        key = usable_key(api_key)
        self._app = app
        self._key = None if key is None else key.encode()
        self._holder_of_key = holder_of_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            try:
                await self._check(scope)
            except _Refused as refused:
                if scope["type"] == "websocket":
                    await WebSocketClose(code=1008)(scope, receive, send)
                else:
                    answer = respond(scope, refused.kind, refused.detail, headers=refused.headers)
                    await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if scope["path"].startswith(OPEN_PREFIXES):
            return
        if self._key is None:
            _from_this_machine(headers, changes=scope.get("method") not in _SAFE_METHODS)
            await self._as_holder(scope["path"], _keys_in(headers))  # a holder gets no more here either
        elif scope["path"] not in HEALTH_PATHS:
            given = _keys_in(headers)
            if not _is_among(self._key, given) and not await self._as_holder(scope["path"], given):
                _refuse(given)

    async def _as_holder(self, path: str, given: Sequence[str]) -> bool:
        """Whether one of the keys has a holder who may call `path`; one that may not is refused."""
        if self._holder_of_key is None or path in HEALTH_PATHS:
            return False
        for key in given:
            holder = await self._holder_of_key(key)
            if holder is None:
                continue
            noun, folder, name = holder.noun, holder.folder, holder.name
            if not path.startswith(folder):
                raise _Refused(FORBIDDEN, f"A {noun}'s key opens {folder}{name} and what is below it, nothing else.")
            named = path.removeprefix(folder).partition("/")[0]
            if named.strip().lower() != name:
                raise _Refused(NOT_FOUND, f"there is no {noun} {named[:255]}")
            return True
        return False


def _keys_in(headers: Headers) -> list[str]:
    """Keys come as `Authorization: Bearer …` (RFC 6750, section 2.1) or `X-API-Key`.

    Browsers attach neither by themselves, so a foreign page cannot use a visitor's key.
    """
    given = headers.getlist("x-api-key")
    for value in headers.getlist("authorization"):
        scheme, _, credentials = value.partition(" ")
        if scheme.lower() == "bearer":
            given.append(credentials.strip())
    return given


def _is_among(key: bytes, given: Sequence[str]) -> bool:
    return any(compare_digest(value.encode("latin-1"), key) for value in given)


def _refuse(given: Sequence[str]) -> NoReturn:
    if given:
        challenge, detail = 'Bearer realm="tidings", error="invalid_token"', "The API key is not the right one."
    else:
        challenge = 'Bearer realm="tidings"'
        detail = "Send the API key (TIDINGS_API_KEY of the server) as Authorization: Bearer … or as X-API-Key."
    raise _Refused(UNAUTHORIZED, detail, {"WWW-Authenticate": challenge})


def _from_this_machine(headers: Headers, *, changes: bool) -> None:
    """Without a key, a web page in a browser on this machine is the one stranger that gets here.

    - DNS rebinding: its own name may resolve to 127.0.0.1, which makes it same-origin; but the Host header
      keeps that name.
    - Cross-site request forgery: it may post a form; but the Origin header (RFC 6454, section 7) names it.
      Ports are not compared, as "same site" does not either. A WebSocket handshake counts as a change: browsers
      let any page read one.
    """
    hosts = headers.getlist("host")
    if not hosts or not all(_names_this_machine(host) for host in hosts):
        raise _Refused(
            MISDIRECTED,
            "Without an API key only requests to localhost or 127.0.0.1 are answered. "
            "Set TIDINGS_API_KEY to use another name.",
        )
    if changes and not all(_is_local_origin(origin) for origin in headers.getlist("origin")):
        raise _Refused(
            FORBIDDEN,
            "A web page of another site may not change anything here. Set TIDINGS_API_KEY and send the key instead.",
        )


def _names_this_machine(host: str) -> bool:
    parts = _HOST.fullmatch(host)
    return parts is not None and is_loopback(parts["v6"] or parts["name"])


def _is_local_origin(origin: str) -> bool:
    """`null`, which sandboxed frames and files send, is not local."""
    try:
        return is_loopback(urlsplit(origin).hostname or "")
    except ValueError:
        return False
