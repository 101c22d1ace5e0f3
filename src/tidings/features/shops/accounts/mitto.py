"""Through whose account at Mitto a shop's messages leave."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.errors import ConfigurationError
from tidings.features.shops.accounts.secrets import secret_context
from tidings.features.shops.models import Shop
from tidings.messages.inbound.notices import Through
from tidings.providers.mitto import Mitto, MittoAccount, callback_address
from tidings.vault import Vault


@dataclass(frozen=True)
class MittoAccess:
    """How shops reach Mitto. `api_key` is the installation's, for shops that have a sender and no key of their own.

    `public_url` is where Mitto can call this installation; without it, reports go where the account says.
    """

    vault: Vault
    api_key: str | None = None
    public_url: str | None = None

    def has_account(self, shop: Shop) -> bool:
        """Whether a shop's messages leave through an account of its own, so that answers come in by its own door."""
        return bool(shop.sender and (shop.mitto_api_key or self.api_key))

    def account_of(self, shop: Mapping[str, Any]) -> MittoAccount | None:
        """A shop's own account, None when its messages go through the installation's provider.

        `shop` has the columns domain, shop_id, sender, mitto_api_key and callback_token. Raises ConfigurationError
        for a key or a sender that cannot be used.
        """
        domain, sealed = shop["domain"], shop["mitto_api_key"]
        if not shop["sender"] or not (sealed or self.api_key):
            return None
        key = self.vault.open(sealed, secret_context("mitto_api_key", domain)) if sealed else self.api_key or ""
        callback = None
        if self.public_url:
            token = self.vault.open(shop["callback_token"], secret_context("callback_token", domain))
            callback = callback_address(self.public_url, token)
        return MittoAccount(f"shop:{shop['shop_id']}", key, shop["sender"], callback)

    async def through(self, connection: AsyncConnection, shop_ids: Collection[int]) -> dict[int, Through]:
        """Through what the notices of these shops leave; a shop without an account of its own is left out."""
        columns = (Shop.id.label("shop_id"), Shop.domain, Shop.sender, Shop.mitto_api_key, Shop.callback_token)
        rows = (await connection.execute(select(*columns).where(Shop.id.in_(sorted(shop_ids))))).mappings()
        found: dict[int, Through] = {}
        for row in map(dict[str, Any], rows):
            try:
                account = self.account_of(row)
            except ConfigurationError as error:
                found[row["shop_id"]] = Through(Mitto.name, None, str(error))
            else:
                if account is not None:
                    found[row["shop_id"]] = Through(Mitto.name, account)
        return found
