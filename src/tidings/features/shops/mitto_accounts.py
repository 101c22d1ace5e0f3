"""Which provider a shop's messages go through: its own Mitto account where it has one, else the house's channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidings.errors import ConfigurationError, SendError
from tidings.features.shops.secrets import secret_context
from tidings.providers.base import Channel, Outgoing, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.mitto import URL, Mitto
from tidings.vault import Vault


@dataclass(frozen=True)
class MittoAccess:
    """How shops reach Mitto. `api_key` is the house's, for shops that have a sender and no key of their own.

    `public_url` is where Mitto can call this installation; without it, reports go where the account says.
    """

    http: HttpClient
    vault: Vault
    api_key: str | None = None
    public_url: str | None = None
    url: str = URL


class ShopChannels(Mapping[str, Channel]):
    """The house's channels by name, and those of shops as `mitto:<id of the shop>`.

    A shop's channel is opened with the first message that goes through it, and again when its key or sender has
    changed. The connections are the HTTP client's, so there is nothing to close.
    """

    def __init__(self, house: Mapping[str, Channel], mitto: MittoAccess) -> None:
        self._house = house
        self._mitto = mitto
        self._shops: dict[str, tuple[Any, Channel]] = {}

    def sender_of(self, shop: Mapping[str, Any]) -> str | None:
        """The name of a shop's own channel, None when its messages go through the house's.

        `shop` has the columns domain, shop_id, sender, mitto_api_key and callback_token.
        """
        if not shop["sender"] or not (shop["mitto_api_key"] or self._mitto.api_key):
            return None
        name = f"mitto:{shop['shop_id']}"
        seen = (shop["sender"], shop["mitto_api_key"], shop["callback_token"])
        present = self._shops.get(name)
        if present is None or present[0] != seen:
            self._shops[name] = (seen, self._open(shop))
        return name

    def _open(self, shop: Mapping[str, Any]) -> Channel:
        vault, domain, sealed = self._mitto.vault, shop["domain"], shop["mitto_api_key"]
        try:
            key = vault.open(sealed, secret_context("mitto_api_key", domain)) if sealed else self._mitto.api_key or ""
            callback = None
            if self._mitto.public_url:
                token = vault.open(shop["callback_token"], secret_context("callback_token", domain))
                callback = f"{self._mitto.public_url.rstrip('/')}/webhooks/mitto/{token}"
            return Mitto(self._mitto.http, key, shop["sender"], self._mitto.url, callback)
        except ConfigurationError as error:
            return _Unusable(str(error))

    def __getitem__(self, name: str) -> Channel:
        found = self._shops.get(name)
        return found[1] if found is not None else self._house[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._house
        yield from self._shops

    def __len__(self) -> int:
        return len(self._house) + len(self._shops)


class _Unusable:
    """A channel whose key or sender cannot be used: its messages fail with the reason, until somebody mends it."""

    name = "mitto"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def send(self, outgoing: Outgoing) -> Receipt:
        raise SendError(self._reason, retryable=True)

    async def close(self) -> None:
        """Nothing to release."""
