"""An application that chats, and what tests do with it: set chatbots up, write to them, and see what became of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import select, update

from chat.page import Page
from support.app import serving
from support.workshop import eventually
from tidings.app import App
from tidings.clock import Clock
from tidings.customer_webhooks.models import WebhookEvent
from tidings.engine.redis import connect
from tidings.features.chat.conversations.order import add_message
from tidings.features.chat.conversations.turns import settle
from tidings.features.chat.jobs import QUEUES
from tidings.features.chat.models import Chatbot, ChatChannel, ChatMessage, Conversation, Role
from tidings.features.chat.service import Chat
from tidings.messages.ledger import DeliveryStatus

NUMBER = "106540352242922"
USER = "+16505551234"
APP_SECRET, ACCESS_TOKEN, VERIFY_TOKEN = "app-secret-of-this-test", "EAAG-token-of-this-test", "verify-token-of-test"
AI_KEY = "sk-key-of-this-test"
DEBOUNCE = 0.15
"""Seconds; a real burst takes longer, and tests wait for every one of them."""

SETTINGS: dict[str, Any] = {
    "brand": "Acme",
    "http_timeout": 5.0,
    "webhooks_allow_private": True,
    "whatsapp_graph_url": "http://127.0.0.1:9",
}
"""What tests of chats have besides the defaults: everything stays on this machine."""

BACKOFF = {f"{queue.variable}_BACKOFF": "0.1" for queue in QUEUES}
"""Seconds before the second attempt at a job, so that tests need not wait as long as users."""

KNOWLEDGE = {
    "Opening hours": "We are open Monday to Saturday from 9 am to 6 pm.",
    "Returns": "You can return anything within 30 days.",
    "Delivery": "Delivery takes two working days and costs 4.90 euros.",
}
"""What the shop's chatbot knows."""

_numbers = itertools.count(1)


def with_ai(url: str, **more: Any) -> dict[str, Any]:
    """The settings of an AI at this address."""
    return {"openai_api_key": AI_KEY, "openai_base_url": url, "openai_model": "gpt-test", "ai_timeout": 5.0, **more}


class Chats:
    """What tests do with an opened application; its workers run once `start` was called."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.origin = ""

    @property
    def chat(self) -> Chat:
        return self.app.chat

    @property
    def prefix(self) -> str:
        return self.app.settings.redis_prefix

    @property
    def clock(self) -> Clock:
        return self.app.clock

    async def start(self, *queue_names: str) -> None:
        """Starts workers on the given queues, by default on all of the chats."""
        await self.app.start_workers(queue_names or [queue.name for queue in QUEUES])

    # What is set up

    async def chatbot(
        self, *, price: str | None = None, items: Mapping[str, str] | None = None, **more: Any
    ) -> Chatbot:
        """A chatbot of a customer of its own, with a plan of that price and knowledge of these titles."""
        number = next(_numbers)
        plan_id = None
        if price is not None:
            plan_id = (await self.chat.accounts.create_plan({"name": f"Plan {number}", "monthly_price": price})).id
        customer = await self.chat.accounts.create_customer({"name": f"Customer {number}", "plan_id": plan_id})
        base = await self.chat.knowledge.create_base({"customer_id": customer.id, "name": "FAQ"})
        for title, content in (items or {}).items():
            await self.chat.knowledge.add_item(base.id, {"title": title, "content": content})
        values = {"name": "Support", "knowledge_base_id": base.id, "debounce": DEBOUNCE, **more}
        return await self.chat.accounts.create_chatbot({"customer_id": customer.id, **values})

    async def shop(self, **more: Any) -> Chatbot:
        """A chatbot that answers at once, from the shop's knowledge."""
        return await self.chatbot(items=KNOWLEDGE, **{"name": "Corner Shop", "debounce": 0.05, **more})

    async def cloud_account(self, chatbot: Chatbot, number: str = NUMBER, app_secret: str = APP_SECRET) -> int:
        """Connects a phone number at Meta; returns the account's id."""
        account, _ = await self.chat.accounts.connect_whatsapp_cloud(
            chatbot.id,
            {
                "phone_number_id": number,
                "access_token": ACCESS_TOKEN,
                "app_secret": app_secret,
                "verify_token": VERIFY_TOKEN,
            },
        )
        return account.id

    async def qr_session(self, chatbot: Chatbot, session_id: str = "shop-1") -> str:
        """Connects a session of the QR service; returns its secret."""
        _, secret = await self.chat.accounts.connect_whatsapp_qr(chatbot.id, {"session_id": session_id})
        return secret

    async def endpoint(self, chatbot: Chatbot, url: str, *events: str) -> int:
        """Has a server of the chatbot's customer told of events; returns the endpoint's id."""
        wanted = {"url": url, **({"events": list(events)} if events else {})}
        endpoint, _ = await self.chat.webhooks.create_endpoint(chatbot.customer_id, wanted)
        return endpoint.id

    # What happens

    async def write(self, chatbot: Chatbot, text: str, **more: Any) -> Any:
        """A user writes, by default over WhatsApp."""
        values = {
            "chatbot_id": chatbot.id,
            "channel": ChatChannel.WHATSAPP_CLOUD,
            "external_user_id": USER,
            "content": text,
            "via": NUMBER,
            **more,
        }
        return await self.chat.enqueue_incoming_message(values)

    async def reply(self, chatbot: Chatbot, conversation_id: int, text: str, **more: Any) -> ChatMessage:
        """A person of the customer's writes to the user."""
        return await self.chat.conversations.send_message(chatbot.id, conversation_id, {"content": text, **more})

    async def reply_of_bot(self, conversation_id: int, text: str) -> ChatMessage:
        """The chatbot answers what is there to be answered, in these words."""
        async with self.app.work.begin() as unit:
            row = await unit.session.get(Conversation, conversation_id, with_for_update=True)
            assert row is not None
            settle(row, row.turn)
            return await add_message(unit, row, Role.ASSISTANT, text, self.clock.now())

    async def set(self, model: type[Any], row_id: int, **values: Any) -> None:
        """Changes a row as time or another program would."""
        async with self.app.work.begin() as unit:
            await unit.session.execute(update(model).where(model.id == row_id).values(**values))

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Redis]:
        """The Redis of the application, as other programs see it."""
        async with connect(self.app.redis_url) as redis:
            yield redis

    async def empty_redis(self) -> None:
        """All of the application's keys are lost."""
        async with self.redis() as redis:
            await redis.delete(*[key async for key in redis.scan_iter(f"{self.prefix}:*")])

    @asynccontextmanager
    async def served(self, port: int = 0) -> AsyncIterator[str]:
        """The application on a real socket; its address, which is `origin` from then on."""
        # uvicorn never tells a page to go that came while it began to stop
        async with serving(self.app, port=port, timeout_graceful_shutdown=2) as self.origin:
            yield self.origin

    def page(self, chatbot: Chatbot, **options: Any) -> Page:
        """A page of a chatbot's widget on this server."""
        return Page(self.origin, chatbot.widget_key, **options)

    # What became of it

    async def rows(self, model: type[Any], **equal: Any) -> list[Any]:
        """The rows with these values, in order of id."""
        query = select(model).filter_by(**equal).order_by(model.id)
        async with self.app.work.read() as session:
            return list(await session.scalars(query))

    async def conversation(self, conversation_id: int) -> Conversation:
        [row] = await self.rows(Conversation, id=conversation_id)
        return row

    async def message(self, message_id: int) -> ChatMessage:
        [row] = await self.rows(ChatMessage, id=message_id)
        return row

    async def messages(self, *roles: Role) -> list[ChatMessage]:
        """Every message of these roles, in order of id; by default those to users."""
        wanted = roles or (Role.ASSISTANT, Role.HUMAN)
        return [row for row in await self.rows(ChatMessage) if row.role in wanted]

    async def answers(
        self, count: int, *, status: Sequence[str] = ("sent",), within: float = 10.0
    ) -> list[ChatMessage]:
        """The messages to users, once so many have come to their end."""

        async def enough() -> list[ChatMessage]:
            rows = await self.messages()
            return rows if len([row for row in rows if row.status in status]) >= count else []

        return await eventually(enough, within=within)

    async def delivered(self, message_id: int, status: DeliveryStatus | str) -> ChatMessage:
        """The message, once its delivery status is this one."""

        async def has_it() -> ChatMessage | None:
            row = await self.message(message_id)
            return row if row.delivery_status == status else None

        row = await eventually(has_it)
        assert row is not None
        return row

    async def events(self, name: str | None = None) -> list[WebhookEvent]:
        """What customers' servers are told, by default of all."""
        return [row for row in await self.rows(WebhookEvent) if name in (None, row.event)]

    async def options_of(self, queue: str, job_id: str, *, finished: bool = False) -> dict[str, Any]:
        """A job's options as BullMQ keeps them, once the job is there, or once it is completed."""

        async def found() -> str | None:
            async with self.redis() as redis:
                if finished and await redis.zscore(f"{self.prefix}:{queue}:completed", job_id) is None:
                    return None
                return await redis.hget(f"{self.prefix}:{queue}:{job_id}", "opts")

        options: dict[str, Any] = json.loads(await eventually(found) or "")
        return options

    async def seconds_until(self, queue: str, job_id: str) -> float | None:
        """Seconds until a job runs, None when there is none."""
        [job] = await self.app.queues.find(queue, [job_id])
        return job.seconds if job else None


OpenChats = Callable[..., Awaitable[Chats]]
"""Opens an application with settings and parts of a test's own."""


def seconds(since: datetime, until: datetime | None) -> float:
    """How many seconds lie between two moments."""
    assert until is not None
    return (until - since).total_seconds()
