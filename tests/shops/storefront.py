"""A shop on the whole way: real HTTP, real queues and workers, a real database, a provider that takes everything."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx
import uvicorn
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shops.market import Provider
from shops.rules.payloads import SHOP, payload, topic_of_file
from tidings.clock import Clock, ManualClock
from tidings.db.database import open_database
from tidings.engine.host import WorkerHost
from tidings.engine.jobs import Handler, Run
from tidings.engine.queues import Queues
from tidings.engine.redis import connect
from tidings.features.shops.campaigns.worker import calling_for_more
from tidings.features.shops.feature import shops_feature
from tidings.features.shops.jobs import DELIVERY, QUEUES
from tidings.features.shops.kind import alarm_id, shop_outbox
from tidings.features.shops.mitto_accounts import MittoAccess, ShopChannels
from tidings.features.shops.models import ShopCustomer, ShopMessage, ShopWebhookEvent
from tidings.features.shops.rules.audience import campaign_variables
from tidings.features.shops.rules.money import shop_templates
from tidings.features.shops.service import Shops
from tidings.messages.dead_letters import DeadLetters
from tidings.messages.delivery.pipeline import Road, Ways
from tidings.messages.gate.policy import Rules
from tidings.messages.inbound.notices import NOTICES, SEND_NOTICE, NoticeTexts, SendNotice, notice_outbox
from tidings.messages.inbound.replies import Inbound
from tidings.messages.ledger import Delivery, history
from tidings.messages.routes.dead_letters import dead_letters_router
from tidings.messages.routes.mitto import mitto_router
from tidings.messages.statuses import OPEN
from tidings.providers.http import HttpClient
from tidings.vault import Vault
from tidings.web.application import create_application
from tidings.web.signatures import shopify_hmac
from tidings.work import Work

NOW = datetime(2026, 11, 20, 20, tzinfo=UTC)
"""Half an hour after the payloads' order was paid; 15:00 in the shop."""

SECRET = "shpss_secret-of-this-test"
HOUSE_KEY = "key-of-the-house"
HELLO = "Hi {{ customer.first_name | default: 'there' }}!"

_numbers = itertools.count(1)


class Storefront:
    """Opened with `async with`. The clock stands still; workers run once `work_all` was called."""

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        *,
        clock: Clock | None = None,
        mitto_url: str | None = None,
        mitto_key: str | None = None,
        prefix: str | None = None,
    ) -> None:
        self.clock: Any = clock or ManualClock(NOW)
        self.provider = Provider()
        self.prefix = prefix or f"store{os.getpid()}-{next(_numbers)}"
        self._address, self._redis_url = database_url, redis_url
        self._mitto = {"api_key": mitto_key, **({"url": mitto_url} if mitto_url else {})}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        database = open_database(self._address)
        self._stack.push_async_callback(database.close)
        self.redis = connect(self._redis_url)
        self._stack.push_async_callback(self.redis.aclose)
        self.queues = Queues((*QUEUES, NOTICES), self.redis, prefix=self.prefix, clock=self.clock)
        self.work = Work(database, self.queues, self.clock)
        http = HttpClient(timeout=2.0)
        self._stack.push_async_callback(http.close)
        self.vault = Vault([Vault.generate()])
        mitto = MittoAccess(http, self.vault, public_url="https://tidings.example", **self._mitto)  # type: ignore[arg-type]
        channels = ShopChannels({"sms": self.provider}, mitto)
        rules, ways, templates = Rules(), Ways(channels), shop_templates()
        outbox = shop_outbox(DELIVERY, channels, templates, campaign_variables, calling_for_more(self.clock))
        self.road = Road(outbox, self.work, ways, rules, deadline=2.0)
        notices = Road(notice_outbox(NOTICES), self.work, ways, rules, deadline=2.0)
        self.shops = Shops(self.work, vault=self.vault, templates=templates, rules=rules)
        self.feature = shops_feature(self.shops, self.work, self.road, rules, retention=timedelta(days=90))
        outboxes = (outbox, notices.outbox)
        self.dead_letters = DeadLetters(self.work, outboxes)
        self.inbound = Inbound(self.work, outboxes, NoticeTexts("Blossom", None), region="US")

        async def send_notice(data: SendNotice, run: Run) -> str:
            return await notices.deliver(data.id, run)

        self.handlers: Sequence[Handler[Any]] = (*self.feature.handlers, Handler(SEND_NOTICE, send_notice))
        app = create_application(
            routers=[
                self.feature.router(),
                mitto_router(self.inbound, self.shops.knows_callback, "token-of-the-house"),
                dead_letters_router(self.dead_letters),
            ],
            lifespan=None,
            api_key=HOUSE_KEY,
            max_body_bytes=100_000,
            version="1",
            shop_of_key=self.shops.shop_of_api_key,
        )
        self.http = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def work_all(self, *names: str) -> WorkerHost:
        """Starts workers of the queues, by default of all."""
        host = WorkerHost(
            self.queues,
            lambda: connect(self._redis_url),
            prefix=self.prefix,
            lock_duration=5.0,
            on_dead_letter=self.dead_letters.store,
            clock=self.clock,
        )
        self._stack.push_async_callback(host.close, 2.0)
        for policy in (*QUEUES, NOTICES):
            if not names or policy.name in names:
                host.start(policy, [one for one in self.handlers if one.job_type.queue.name == policy.name])
        return host

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
        _, key = await self.shops.create_shop(wanted)
        return key

    async def automation(self, key: str = "hello", *, shop: str = SHOP, **more: Any) -> Any:
        """A transactional one, at once, unless told otherwise."""
        wanted = {"name": key, "trigger": "orders/create", "template": HELLO, "purpose": "transactional", **more}
        return await self.shops.save_automation(shop, key, wanted)

    async def tell(
        self,
        name: str,
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

    async def told(self, name: str, **more: Any) -> ShopWebhookEvent:
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

    async def deliver(self, message_id: int, *, last: bool = False) -> str:
        """What a worker does when the message's job runs; the name of the error if it raises one."""
        try:
            return await self.road.deliver(message_id, Run(alarm_id(message_id), 1, last, "test"))
        except Exception as error:
            return type(error).__name__

    async def lines(self, message_id: int) -> list[Delivery]:
        """What the ledger says about a message."""
        async with self.work.read() as session:
            return list(await history(session, "shop-message", message_id))

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Recipient and text of everything that left."""
        return [(outgoing.to, outgoing.text) for outgoing in self.provider.taken.values()]

    async def api(self, method: str, path: str, body: Any = None, *, key: str | None = HOUSE_KEY) -> httpx.Response:
        """A call to the API, by default with the house's key."""
        headers = {"X-API-Key": key} if key is not None else {}
        return await self.http.request(method, path, json=body, headers=headers)


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An application on a real socket, and a client to it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off"))
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False) as client:
            yield client
    finally:
        server.should_exit = True
        await running


OpenStorefront = Callable[..., Any]
