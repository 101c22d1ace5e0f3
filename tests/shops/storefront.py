"""A shop on the whole way: the application over real HTTP, with a provider that takes everything."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from redis.asyncio import Redis
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shops.rules.payloads import SHOP, payload, topic_of_file
from support.app import deliver, ledger
from tidings.app import App
from tidings.engine.queues import Queues
from tidings.features.shops.accounts.secrets import secret_context
from tidings.features.shops.jobs import QUEUES
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage, ShopWebhookEvent
from tidings.features.shops.service import Shops
from tidings.messages.inbound.notices import NOTICES
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import OPEN
from tidings.web.signatures import shopify_hmac
from tidings.work import Work

NOW = datetime(2026, 11, 20, 20, tzinfo=UTC)
"""Half an hour after the payloads' order was paid; 15:00 in the shop."""

SECRET = "shpss_secret-of-this-test"
OWNERS_KEY = "key-of-the-owner"
OWNERS_TOKEN = "token-of-the-owner"
"""The installation's own API key and callback token; shops have theirs."""

HELLO = "Hi {{ customer.first_name | default: 'there' }}!"

_numbers = itertools.count(1)


@dataclass
class Storefront:
    """An installation whose SMS go to `provider`; `http` calls it. Its workers run once they were started."""

    app: App
    provider: Any
    http: httpx.AsyncClient
    redis: Redis

    @property
    def clock(self) -> Any:
        return self.app.clock

    @property
    def work(self) -> Work:
        return self.app.work

    @property
    def queues(self) -> Queues:
        return self.app.queues

    @property
    def prefix(self) -> str:
        return str(self.app.settings.redis_prefix)

    @property
    def shops(self) -> Shops:
        return self.app.shops

    async def work_all(self) -> None:
        """Starts workers of the shops' queues, and of the one that answers STOP."""
        await self.app.start_workers([policy.name for policy in (*QUEUES, NOTICES)])

    async def shop(self, domain: str = SHOP, **more: Any) -> str:
        """A new shop; returns its API key."""
        wanted = {
            "domain": domain,
            "name": "Blossom Soaps",
            "timezone": "America/Detroit",
            "webhook_secret": SECRET,
            "sms_prices": {"US": "0.0079"},
            "default_price": "0.05",
            **more,
        }
        _, key = await self.shops.accounts.create(wanted)
        return key

    async def automation(self, key: str = "hello", *, shop: str = SHOP, **more: Any) -> Any:
        """A transactional one, at once, unless told otherwise."""
        wanted = {"name": key, "trigger": "orders/create", "template": HELLO, "purpose": "transactional", **more}
        return await self.shops.automations.save(shop, key, wanted)

    async def tell(
        self,
        name: str,
        /,
        *,
        domain: str | None = SHOP,
        secret: str | None = SECRET,
        event_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        topic: str | None = None,
        **changes: Any,
    ) -> httpx.Response:
        """What Shopify posts: the payload of a file with changes, signed."""
        topic = topic or topic_of_file(name)
        body = json.dumps(payload(name) | changes).encode() if body is None else body
        sent = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Event-Id": event_id or f"event-{next(_numbers)}",
            **({"X-Shopify-Shop-Domain": domain} if domain is not None else {}),
            **({"X-Shopify-Hmac-Sha256": shopify_hmac(secret, body)} if secret is not None else {}),
            **(headers or {}),
        }
        return await self.http.post(
            f"/webhooks/shopify/{topic}", content=body, headers={k: v for k, v in sent.items() if v}
        )

    async def told(self, name: str, /, **more: Any) -> ShopWebhookEvent:
        """The same, taken in, and worked on to its end."""
        event_id = more.pop("event_id", None) or f"event-{next(_numbers)}"
        response = await self.tell(name, event_id=event_id, **more)
        assert response.status_code == 200, response.text
        await self.settled()
        [event] = [row for row in await self.all(ShopWebhookEvent) if row.event_id == event_id] or [None]
        return event  # type: ignore[return-value]

    async def settled(self) -> None:
        """Waits until every event was worked on and what is due has left."""
        under_way = select(func.count()).where(
            ShopWebhookEvent.evaluated_at.is_(None), ShopWebhookEvent.error.is_(None)
        )

        async def count(session: AsyncSession) -> int:
            due = select(func.count()).where(
                ShopMessage.status.in_(OPEN),
                ShopMessage.scheduled_time <= self.clock.now(),
                or_(ShopMessage.held_until.is_(None), ShopMessage.attempts > 0),
            )
            return (await session.scalar(under_way) or 0) + (await session.scalar(due) or 0)

        async with asyncio.timeout(15):
            while True:
                async with self.work.read() as session:
                    if not await count(session):
                        return
                await asyncio.sleep(0.02)

    async def idle(self, queue: str) -> None:
        """Waits until every job of a queue that is due has been worked on."""
        async with asyncio.timeout(15):
            while (stats := await self.queues.stats(queue)).waiting + stats.active:
                await asyncio.sleep(0.01)

    async def all(self, model: Any) -> list[Any]:
        """Every row of a table, in order of id."""
        async with self.work.read() as session:
            return list(await session.scalars(select(model).order_by(model.id)))

    async def messages(self) -> list[ShopMessage]:
        return await self.all(ShopMessage)

    async def message(self) -> ShopMessage:
        """The only one."""
        [row] = await self.messages()
        return row

    async def customer(self) -> ShopCustomer:
        """The only one."""
        [row] = await self.all(ShopCustomer)
        return row  # type: ignore[no-any-return]

    async def callback_token(self) -> str:
        """The secret end of the only shop's address for Mitto's callbacks."""
        [shop] = await self.all(Shop)
        return self.app.vault.open(shop.callback_token, secret_context("callback_token", shop.domain))

    async def deliver(self, message_id: int, *, last: bool = False) -> str:
        """What a worker does when the message's job runs; the name of the error if it raises one."""
        try:
            return str(await deliver(self.app, "shop-message", message_id, last=last))
        except Exception as error:
            return type(error).__name__

    async def lines(self, message_id: int) -> list[LedgerEntry]:
        """What the ledger says about a message."""
        return await ledger(self.app, "shop-message", message_id)

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Recipient and text of everything that left."""
        return [(outgoing.to, outgoing.text) for outgoing in self.provider.taken.values()]

    async def api(self, method: str, path: str, body: Any = None, *, key: str | None = OWNERS_KEY) -> httpx.Response:
        """A call to the API, by default with the installation's own key."""
        headers = {"X-API-Key": key} if key is not None else {}
        return await self.http.request(method, path, json=body, headers=headers)


OpenStorefront = Callable[..., Awaitable[Storefront]]
