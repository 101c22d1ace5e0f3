"""What a shop tells: who may tell it, taken in once, and read again with what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import select

from tidings.errors import ConfigurationError
from tidings.features.shops.accounts.secrets import secret_context
from tidings.features.shops.events.ignored import count_ignored, why_ignored
from tidings.features.shops.events.payloads import read_payload
from tidings.features.shops.events.schemas import WebhookReceipt
from tidings.features.shops.events.store import store_event
from tidings.features.shops.lookup import find_one, find_page, find_shop
from tidings.features.shops.models import Shop, ShopIgnoredTopic, ShopWebhookEvent
from tidings.features.shops.rules import reading
from tidings.features.shops.rules.contexts import TOPICS, topic_of
from tidings.log import get_logger
from tidings.vault import Vault
from tidings.web.signatures import is_shopify
from tidings.work import Work

log = get_logger(__name__)

AFTER_UNINSTALLING = frozenset({"customers/data_request", "customers/redact", "shop/redact", "app/uninstalled"})
"""Topics that count for a shop that has left: Shopify sends `shop/redact` two days later."""

_NOBODYS = "no shop has this secret"


class ShopEvents:
    """The events of shops; their bodies are judged as raw bytes, before anything in them is read."""

    def __init__(self, work: Work, vault: Vault) -> None:
        self._work = work
        self._vault = vault

    async def is_signed(self, domain: str, body: bytes, signature: str) -> bool:
        """Whether a body is signed as Shopify does, with a secret of this shop; of an unknown shop, it never is."""
        secrets = await self._secrets(domain)
        # An unknown shop takes as long as a wrong signature.
        return is_shopify(secrets or [_NOBODYS], body, signature) and bool(secrets)

    async def receive(
        self, domain: str, topic: str, event_id: str | None, body: bytes, triggered_at: str = ""
    ) -> WebhookReceipt:
        """Takes in one webhook whose signature was checked; the same event again changes nothing.

        `triggered_at` is when Shopify says that it happened (RFC 3339); one that cannot be read counts as none.
        Raises NotFound for an unknown shop and InvalidInput for a body that is no JSON object.
        """
        topic = topic_of(topic)
        if topic not in TOPICS:
            await count_ignored(self._work, domain, topic)
            return WebhookReceipt(ignored=why_ignored(topic))
        raw = read_payload(body)
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            if shop.uninstalled_at is not None and topic not in AFTER_UNINSTALLING:
                return WebhookReceipt(ignored="the shop has uninstalled the app")
            unique = event_id or f"body-{hashlib.sha256(topic.encode() + body).hexdigest()}"
            now, happened = self._work.clock.now(), reading.moment(triggered_at)
            stored = await store_event(unit, shop, topic, unique, raw, now, triggered_at=happened)
        return WebhookReceipt(duplicate=not stored.is_new)

    async def get(self, domain: str, row_id: int) -> ShopWebhookEvent:
        """One webhook, with what came of it. Raises NotFound."""
        async with self._work.read() as session:
            return await find_one(session, ShopWebhookEvent, "event", domain, row_id)

    async def list(
        self, domain: str, *, topic: str | None = None, after_id: int = 0, limit: int = 100
    ) -> Sequence[ShopWebhookEvent]:
        """Webhooks in order of id, each with what came of it. Raises NotFound."""
        conditions = [] if topic is None else [ShopWebhookEvent.topic == topic]
        async with self._work.read() as session:
            return await find_page(session, ShopWebhookEvent, domain, after_id, limit, *conditions)

    async def list_ignored(self, domain: str) -> Sequence[ShopIgnoredTopic]:
        """Topics that the shop tells and nobody uses, and how often each came. Raises NotFound."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            query = select(ShopIgnoredTopic).where(ShopIgnoredTopic.shop_id == shop.id)
            return (await session.scalars(query.order_by(ShopIgnoredTopic.topic))).all()

    async def _secrets(self, domain: str) -> Sequence[str]:
        """The secrets that a shop's webhooks may be signed with, none for an unknown shop."""
        async with self._work.read() as session:
            shop = await session.scalar(select(Shop).where(Shop.domain == domain.strip().lower()))
        if shop is None:
            return []
        sealed = {"webhook_secret": shop.webhook_secret, "previous_webhook_secret": shop.previous_webhook_secret}
        try:
            return [
                self._vault.open(text, secret_context(column, shop.domain)) for column, text in sealed.items() if text
            ]
        except ConfigurationError as error:
            log.error("webhook secret cannot be opened", shop=shop.domain, error=str(error))
            return []
