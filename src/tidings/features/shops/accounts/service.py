"""Shops: created, changed, their keys and secrets, and what happens when they leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from tidings.db.vault_keys import note_key
from tidings.errors import Conflict, InvalidInput
from tidings.feature import parse
from tidings.features.shops.accounts.schemas import SecretIn, ShopChange, ShopIn
from tidings.features.shops.accounts.secrets import digest, new_api_key, new_token, secret_context
from tidings.features.shops.automations.saving import add_preset
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import Shop, ShopMessage
from tidings.features.shops.rules.prices import read_price_table
from tidings.log import get_logger
from tidings.messages.changes import cancel_where
from tidings.messages.statuses import Reason
from tidings.messages.tenants import add_tenant, shop_tenant
from tidings.messages.text.templates import Sandbox
from tidings.providers.mitto import callback_address
from tidings.vault import Vault
from tidings.web.access import KeyHolder
from tidings.work import Unit, Work

log = get_logger(__name__)

_MAY_BE_TAKEN_AWAY = frozenset({"sender", "mitto_api_key", "join_keyword", "double_opt_in"})


class ShopAccounts:
    """Shops themselves. `domain` is the shop's, such as blossom.myshopify.com.

    `vault` seals their secrets, `templates` check the automations that a shop starts with. `public_url` is where
    others reach this installation.
    """

    def __init__(self, work: Work, vault: Vault, templates: Sandbox, public_url: str | None) -> None:
        self._public_url = public_url
        self._work = work
        self._vault = vault
        self._templates = templates

    async def create(self, shop: ShopIn | Mapping[str, Any]) -> tuple[Shop, str]:
        """Adds a shop, or takes one back that has uninstalled the app; returns it and its API key.

        The key is shown this once. Raises InvalidInput, and Conflict when the shop is here already.
        """
        wanted, now, api_key = parse(ShopIn, shop), self._work.clock.now(), new_api_key()
        _check_prices(wanted.sms_prices, wanted.default_price, wanted.currency)
        token = new_token()
        values: dict[str, Any] = {
            **wanted.model_dump(exclude={"presets", "webhook_secret", "mitto_api_key"}),
            "webhook_secret": self._seal(wanted.domain, "webhook_secret", wanted.webhook_secret),
            "previous_webhook_secret": None,
            "mitto_api_key": wanted.mitto_api_key
            and self._seal(wanted.domain, "mitto_api_key", wanted.mitto_api_key),
            "callback_token": self._seal(wanted.domain, "callback_token", token),
            "callback_hash": digest(token),
            "previous_callback_hash": None,
            "api_key_hash": digest(api_key),
            "installed_at": now,
            "uninstalled_at": None,
            "updated_at": now,
        }
        try:
            async with self._work.begin() as unit:
                await note_key(unit.session, self._vault.names)
                row = await unit.session.scalar(select(Shop).where(Shop.domain == wanted.domain).with_for_update())
                if row is None:
                    row = Shop(created_at=now, **values)
                    unit.session.add(row)
                elif row.uninstalled_at is None:
                    raise Conflict(f"shop {wanted.domain} is here already; change it, or rotate its key")
                else:
                    for name, value in values.items():
                        setattr(row, name, value)
                await unit.session.flush()
                await add_tenant(unit.session, shop_tenant(row.id), row.name, now, timezone=row.timezone)
                for preset in wanted.presets:
                    await add_preset(unit, row, preset, self._templates, now)
        except IntegrityError as error:
            raise Conflict(f"somebody else is adding shop {wanted.domain} right now") from error
        return row, api_key

    async def get(self, domain: str) -> Shop:
        """One shop. Raises NotFound."""
        async with self._work.read() as session:
            return await find_shop(session, domain)

    async def list(self, after_id: int = 0, limit: int = 100) -> Sequence[Shop]:
        """Shops in order of id, those that left included."""
        query = select(Shop).where(Shop.id > after_id).order_by(Shop.id).limit(limit)
        async with self._work.read() as session:
            return (await session.scalars(query)).all()

    async def change(self, domain: str, change: ShopChange | Mapping[str, Any]) -> Shop:
        """Changes what is given. Raises NotFound and InvalidInput."""
        wanted = parse(ShopChange, change)
        changes = wanted.model_dump(exclude_unset=True)
        for name, value in changes.items():
            if value is None and name not in _MAY_BE_TAKEN_AWAY:
                raise InvalidInput(name, "cannot be null; leave it out to keep it")
        async with self._work.begin() as unit:
            if changes.get("mitto_api_key") is not None:
                await note_key(unit.session, self._vault.names)
            row = await find_shop(unit.session, domain, lock=True)
            if (key := changes.get("mitto_api_key")) is not None:
                changes["mitto_api_key"] = self._seal(row.domain, "mitto_api_key", key)
            for name, value in changes.items():
                setattr(row, name, value)
            _check_prices(row.sms_prices, row.default_price, row.currency)
            row.updated_at = now = self._work.clock.now()
            await unit.session.flush()
            await add_tenant(unit.session, shop_tenant(row.id), row.name, now, timezone=row.timezone)
            return row

    async def rotate_api_key(self, domain: str) -> str:
        """A new API key for a shop; the one before is of no use from now on. Raises NotFound."""
        api_key = new_api_key()
        async with self._work.begin() as unit:
            row = await find_shop(unit.session, domain, lock=True)
            row.api_key_hash, row.updated_at = digest(api_key), self._work.clock.now()
        log.info("shop's API key rotated", shop=row.domain)
        return api_key

    def callback_url(self, shop: Shop) -> str:
        """Where Mitto tells of a shop's replies and deliveries; a path where there is no public address."""
        token = self._vault.open(shop.callback_token, secret_context("callback_token", shop.domain))
        return callback_address(self._public_url or "", token)

    @property
    def webhook_url(self) -> str:
        """Where Shopify is to post, whatever the topic; a path where there is no public address."""
        return f"{(self._public_url or '').rstrip('/')}/webhooks/shopify"

    async def rotate_callback_token(self, domain: str, *, forget_previous: bool = False) -> str:
        """A new address for Mitto's callbacks, to be entered there. Messages that leave from now on name it.

        What comes in by the one before is taken in as well, until the next rotation, unless it is forgotten. Raises
        NotFound.
        """
        token = new_token()
        async with self._work.begin() as unit:
            await note_key(unit.session, self._vault.names)
            row = await find_shop(unit.session, domain, lock=True)
            row.previous_callback_hash = None if forget_previous else row.callback_hash
            row.callback_token = self._seal(row.domain, "callback_token", token)
            row.callback_hash, row.updated_at = digest(token), self._work.clock.now()
        log.info("shop's callback address rotated", shop=row.domain)
        return self.callback_url(row)

    async def rotate_webhook_secret(self, domain: str, secret: SecretIn | Mapping[str, Any]) -> Shop:
        """Stores the app's new secret. Webhooks signed with the one before are taken in too, unless it is forgotten.

        Raises NotFound and InvalidInput.
        """
        wanted = parse(SecretIn, secret)
        async with self._work.begin() as unit:
            await note_key(unit.session, self._vault.names)
            row = await find_shop(unit.session, domain, lock=True)
            former = self._vault.open(row.webhook_secret, secret_context("webhook_secret", row.domain))
            row.webhook_secret = self._seal(row.domain, "webhook_secret", wanted.webhook_secret)
            if wanted.forget_previous:
                row.previous_webhook_secret = None
            elif former != wanted.webhook_secret:
                row.previous_webhook_secret = self._seal(row.domain, "previous_webhook_secret", former)
            row.updated_at = self._work.clock.now()
        log.info("shop's webhook secret rotated", shop=row.domain)
        return row

    async def holder_of_key(self, api_key: str) -> KeyHolder | None:
        """The shop whose key this is, which opens what is below /shops/<its domain>; only its digest is compared."""
        async with self._work.read() as session:
            domain = await session.scalar(select(Shop.domain).where(Shop.api_key_hash == digest(api_key)))
            return KeyHolder("shop", "/shops/", domain) if domain else None

    async def tenant_of_callback(self, token: str) -> str | None:
        """The shop for which Mitto calls back with this token; only its digest is compared."""
        async with self._work.read() as session:
            hashes = (Shop.callback_hash, Shop.previous_callback_hash)
            found = await session.scalar(select(Shop.id).where(or_(*(one == digest(token) for one in hashes))))
            return None if found is None else shop_tenant(found)

    def _seal(self, domain: str, column: str, text: str) -> str:
        return self._vault.seal(text, secret_context(column, domain))


async def uninstall(unit: Unit, shop: Shop, now: datetime) -> int:
    """Notes that a shop has left, and calls off everything that waits; returns how many messages that were."""
    shop.uninstalled_at = shop.uninstalled_at or now
    shop.updated_at = now
    await unit.session.flush()
    return await cancel_where(unit, ShopMessages, ShopMessage.shop_id == shop.id, Reason.SHOP_UNINSTALLED, now)


def _check_prices(prices: Mapping[str, Any], default: Any, currency: str) -> None:
    """Raises InvalidInput in the words of this feature's fields."""
    try:
        read_price_table(prices, default, currency)
    except InvalidInput as error:
        field = error.field.replace("prices.", "sms_prices.", 1)
        raise InvalidInput("default_price" if field == "default" else field, error.message) from error
