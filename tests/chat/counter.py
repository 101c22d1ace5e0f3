"""A shop's counter: a chatbot with its knowledge, the workers that answer, and a server that the widget talks to."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any, Self

import uvicorn
from fastapi import FastAPI
from sqlalchemy import select
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket

from servers import free_port
from tidings.clock import SystemClock
from tidings.customer_webhooks.models import WebhookEvent
from tidings.db.database import open_database
from tidings.engine.broadcast import Broadcast
from tidings.engine.host import WorkerHost
from tidings.engine.queues import Queues
from tidings.engine.redis import connect
from tidings.features.chat.feature import QUEUES, ChatParts, open_chat
from tidings.features.chat.models import Chatbot, Message
from tidings.features.chat.widget.routes import widget_router
from tidings.messages.delivery.pipeline import Road, Ways
from tidings.messages.gate.policy import Rules
from tidings.messages.inbound.notices import NoticeTexts
from tidings.messages.inbound.replies import IncomingReply, Received
from tidings.messages.kind import Outbox
from tidings.providers.base import Channel
from tidings.providers.http import HttpClient
from tidings.providers.webhooks.send import Webhooks
from tidings.providers.whatsapp_cloud.send import WhatsAppCloud
from tidings.vault import Vault
from tidings.web.errors import HANDLERS
from tidings.work import Work

KNOWLEDGE = {
    "Opening hours": "We are open Monday to Saturday from 9 am to 6 pm.",
    "Returns": "You can return anything within 30 days.",
    "Delivery": "Delivery takes two working days and costs 4.90 euros.",
}


class Counter:
    """One process of an installation. Several that are given the same database, Redis and prefix share it."""

    def __init__(self, database_url: str, redis_url: str, prefix: str, *, port: int | None = None) -> None:
        self.port = port or free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self._redis_url, self._prefix = redis_url, prefix
        self._database = open_database(database_url)
        self._redis = connect(redis_url)
        self.clock = SystemClock()
        self.queues = Queues(QUEUES, self._redis, prefix=prefix, clock=self.clock)
        self.work = Work(self._database, self.queues, self.clock)
        self.broadcast = Broadcast(lambda: connect(redis_url), prefix=prefix)
        self._stack = AsyncExitStack()
        self._serving: asyncio.Task[None] | None = None
        http, webhooks = HttpClient(timeout=5.0), Webhooks(allow_private=True, timeout=5.0)
        for closing in (self._database.close, self._redis.aclose, self.broadcast.close, http.close, webhooks.close):
            self._stack.push_async_callback(closing)

        def road_of(outbox: Outbox, channels: Mapping[str, Channel]) -> Road:
            return Road(outbox, self.work, Ways(channels), Rules(), deadline=5.0)

        async def no_door(reply: IncomingReply) -> Received:
            raise AssertionError("the widget knows no STOP")

        self.chat, self.feature = open_chat(
            self.work,
            self.queues.policies,
            road_of,
            ChatParts(
                vault=Vault([Vault.generate()]),
                cloud=WhatsAppCloud(http),
                qr=None,
                webhooks=webhooks,
                broadcast=self.broadcast,
                allow_private=True,
            ),
            receive_reply=no_door,
            texts=NoticeTexts("Tidings", None),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stops everything; harmless when done twice."""
        await self.stop_serving()
        await self._stack.aclose()

    async def new_chatbot(self, **settings: Any) -> Chatbot:
        """A chatbot that answers at once, from the shop's knowledge."""
        customer = await self.chat.create_customer({"name": "Corner Shop"})
        base = await self.chat.create_knowledge_base({"customer_id": customer.id, "name": "FAQ"})
        for title, content in KNOWLEDGE.items():
            await self.chat.add_knowledge_item(base.id, {"title": title, "content": content})
        return await self.chat.create_chatbot(
            {
                "customer_id": customer.id,
                "name": "Corner Shop",
                "knowledge_base_id": base.id,
                "debounce": 0.05,
                **settings,
            }
        )

    async def serve(self, *, look_again: float = 20.0) -> None:
        """Serves the widget at `port`."""
        app = FastAPI(exception_handlers=HANDLERS)
        app.include_router(widget_router(self.chat, self.chat, look_again=look_again))
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=self.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,  # uvicorn never tells a page to go that came while it began to stop
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve())
        async with asyncio.timeout(10):
            while not self._server.started:
                await asyncio.sleep(0.01)

    async def stop_serving(self) -> None:
        """Ends the server as a restart does: pages lose their connection."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._serving = None

    def start_workers(self) -> None:
        """Starts working on all queues."""
        host = WorkerHost(self.queues, lambda: connect(self._redis_url), prefix=self._prefix, lock_duration=30.0)
        for policy in QUEUES:
            host.start(policy, [one for one in self.feature.handlers if one.job_type.queue.name == policy.name])
        self._stack.push_async_callback(host.close, 0.1)

    def page(self, chatbot: Chatbot, **options: Any) -> Page:
        return Page(f"ws://127.0.0.1:{self.port}/widget/{chatbot.widget_key}/socket", self.origin, **options)

    async def message(self, message_id: int) -> Message:
        async with self.work.read() as session:
            return (await session.scalars(select(Message).where(Message.id == message_id))).one()

    async def messages(self) -> list[Message]:
        async with self.work.read() as session:
            return list(await session.scalars(select(Message).order_by(Message.id)))

    async def webhook_events(self, name: str) -> list[WebhookEvent]:
        async with self.work.read() as session:
            query = select(WebhookEvent).where(WebhookEvent.event == name)
            return list(await session.scalars(query.order_by(WebhookEvent.id)))

    async def has_status(self, message_id: int, status: str) -> Message:
        """The message, once its delivery status is this one."""
        async with asyncio.timeout(10):
            while (row := await self.message(message_id)).delivery_status != status:
                await asyncio.sleep(0.01)
        return row


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Page:
    """A page of the widget, without a browser: it says what the real one says."""

    def __init__(self, address: str, origin: str | None, *, visitor: str | None = None, after: int = 0) -> None:
        self.visitor = visitor or secrets.token_hex(16)
        self._address = f"{address}?visitor={self.visitor}&after={after}"
        self._origin = origin
        self.frames: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self.socket: ClientConnection = await open_socket(self._address, origin=self._origin)  # type: ignore[arg-type]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """The next frame of one of these kinds; those before it are kept in `frames`."""
        async with asyncio.timeout(10):
            while True:
                frame: dict[str, Any] = json.loads(await self.socket.recv())
                self.frames.append(frame)
                if frame["type"] in kinds:
                    return frame

    async def hear_answer(self) -> dict[str, Any]:
        """The next message that is not the visitor's own, acknowledged as the page does it."""
        while True:
            frame = await self.hear("ready", "message", "missed")
            for message in frame["messages"]:
                if message["role"] != "user":
                    await self.say(type="delivered", ids=[message["id"]])
                    return dict(message)

    async def say(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def ask(self, text: str, client_id: str | None = None) -> dict[str, Any]:
        """Writes a message and returns the word that it is stored."""
        client_id = client_id or secrets.token_hex(8)
        await self.say(type="message", client_id=client_id, text=text)
        while True:
            frame = await self.hear("taken", "refused")
            if frame["client_id"] == client_id:
                return frame

    async def end(self) -> int:
        """The code with which the server closed the connection."""
        with suppress(Exception):
            async with asyncio.timeout(10):
                while True:
                    await self.socket.recv()
        return self.socket.close_code or 0
