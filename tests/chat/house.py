"""A house that chats: real queues and workers on a real Redis and database, providers on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any, Self

import httpx
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select, update

from servers import free_port
from tidings.ai.openai import OpenAIModel
from tidings.clock import Clock, SystemClock
from tidings.db.database import open_database
from tidings.engine.broadcast import Broadcast
from tidings.engine.host import WorkerHost
from tidings.engine.jobs import Run
from tidings.engine.queues import Queues
from tidings.engine.redis import connect
from tidings.features.chat.feature import QUEUES, ChatParts, open_chat
from tidings.features.chat.models import Chatbot, ChatChannel, Conversation, Message, Role
from tidings.features.chat.schemas import IncomingMessageIn
from tidings.messages.dead_letters import DeadLetters
from tidings.messages.delivery.pipeline import Road, Ways
from tidings.messages.delivery.recovery import Sweep
from tidings.messages.gate.policy import Rules
from tidings.messages.inbound.notices import NoticeTexts
from tidings.messages.inbound.replies import Inbound, IncomingReply, Received
from tidings.messages.kind import Outbox
from tidings.messages.ledger import Delivery, history
from tidings.messages.why import Why
from tidings.providers.base import Channel
from tidings.providers.http import HttpClient
from tidings.providers.webhooks.send import Webhooks
from tidings.providers.whatsapp_cloud.send import WhatsAppCloud
from tidings.providers.whatsapp_qr import WhatsAppQr
from tidings.vault import Vault
from tidings.web.application import create_application
from tidings.work import Work
from workshop import eventually

NUMBER = "106540352242922"
USER = "+16505551234"
APP_SECRET, ACCESS_TOKEN, VERIFY_TOKEN = "app-secret-of-this-test", "EAAG-token-of-this-test", "verify-token-of-test"
DEBOUNCE = 0.15
"""Seconds; a real burst takes longer, and tests wait for every one of them."""

BACKOFF = 0.1
"""Seconds before the second attempt at a job, so that tests need not wait as long as users."""

_numbers = itertools.count(1)


class House:
    """Opened with `async with`; workers run once `work` was called."""

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        *,
        clock: Clock | None = None,
        graph_url: str = "http://127.0.0.1:9",
        qr_url: str | None = None,
        ai_url: str | None = None,
        ai_timeout: float = 5.0,
        embedding_model: str | None = None,
        channels: Mapping[str, Channel] | None = None,
        prefix: str | None = None,
    ) -> None:
        self.clock: Any = clock or SystemClock()
        self.prefix = prefix or f"chat{os.getpid()}-{next(_numbers)}"
        self.vault = Vault([Vault.generate()])
        self.policies = {policy.name: replace(policy, backoff=BACKOFF) for policy in QUEUES}
        self._address, self._redis_url = database_url, redis_url
        self._urls = graph_url, qr_url
        self._ai = ai_url, ai_timeout, embedding_model
        self._channels = channels
        self._stack = AsyncExitStack()
        self.hosts: list[WorkerHost] = []

    async def __aenter__(self) -> Self:
        stack = self._stack
        self.database = open_database(self._address)
        stack.push_async_callback(self.database.close)
        self.redis = connect(self._redis_url)
        stack.push_async_callback(self.redis.aclose)
        self.queues = Queues(self.policies.values(), self.redis, prefix=self.prefix, clock=self.clock)
        self.work = Work(self.database, self.queues, self.clock)
        http, webhooks = HttpClient(timeout=5.0), Webhooks(allow_private=True, timeout=5.0)
        broadcast = Broadcast(lambda: connect(self._redis_url), prefix=self.prefix)
        for part in (http, webhooks, broadcast):
            stack.push_async_callback(part.close)
        graph_url, qr_url = self._urls
        ai_url, ai_timeout, embedding_model = self._ai
        model = OpenAIModel("sk-key-of-this-test", ai_url, "gpt-test", ai_timeout) if ai_url else None
        if model:
            stack.push_async_callback(model.close)
        parts = ChatParts(
            vault=self.vault,
            cloud=WhatsAppCloud(http, graph_url),
            qr=WhatsAppQr(http, qr_url) if qr_url else None,
            webhooks=webhooks,
            broadcast=broadcast,
            model=model,
            embedding_model=embedding_model,
            allow_private=True,
        )
        texts = NoticeTexts("Acme")
        self.chat, self.feature = open_chat(
            self.work,
            self.policies,
            self._road,
            parts,
            receive_reply=self._receive_reply,
            texts=texts,
            channels=self._channels,
        )
        self.inbound = Inbound(self.work, self.feature.outboxes, texts, region="US")
        self.why = Why(self.work, self.feature.outboxes)
        self.dead_letters = DeadLetters(self.work, self.feature.outboxes)
        self.sweep = Sweep(self.work, self.feature.outboxes, self.feature.schedules, interval=30)
        return self

    async def __aexit__(self, *_: object) -> None:
        for host in self.hosts:
            await host.close(1.0)
        await self._stack.aclose()

    def _road(self, outbox: Outbox, channels: Mapping[str, Channel]) -> Road:
        return Road(outbox, self.work, Ways(channels), Rules(), deadline=5.0)

    async def _receive_reply(self, reply: IncomingReply) -> Received:
        return await self.inbound.receive_reply(reply)

    def start(self, *queue_names: str) -> WorkerHost:
        """Starts workers on the given queues, by default on all."""
        host = WorkerHost(
            self.queues,
            lambda: connect(self._redis_url),
            prefix=self.prefix,
            lock_duration=30.0,
            on_dead_letter=self.dead_letters.store,
            clock=self.clock,
        )
        self.hosts.append(host)
        for name, policy in self.policies.items():
            if not queue_names or name in queue_names:
                host.start(policy, [one for one in self.feature.handlers if one.job_type.queue.name == name])
        return host

    async def run(self, job_type: Any, data: Any, *, attempt: int = 1, last: bool = False) -> object:
        """What a worker does with one job."""
        [handler] = [one for one in self.feature.handlers if one.job_type is job_type]
        job_id = job_type.job_id(data) if job_type.job_id else "1"
        return await handler.handle(data, Run(job_id, attempt, last, "test"))

    async def chatbot(
        self, *, price: str | None = None, items: Mapping[str, str] | None = None, **more: Any
    ) -> Chatbot:
        """A chatbot of a customer of its own, with a plan of that price and knowledge of these titles."""
        number = next(_numbers)
        plan_id = None
        if price is not None:
            plan_id = (await self.chat.create_plan({"name": f"Plan {number}", "monthly_price": price})).id
        customer = await self.chat.create_customer({"name": f"Customer {number}", "plan_id": plan_id})
        base = await self.chat.create_knowledge_base({"customer_id": customer.id, "name": "FAQ"})
        for title, content in (items or {}).items():
            await self.chat.add_knowledge_item(base.id, {"title": title, "content": content})
        values = {"name": "Support", "knowledge_base_id": base.id, "debounce": DEBOUNCE, **more}
        return await self.chat.create_chatbot({"customer_id": customer.id, **values})

    async def cloud_account(self, chatbot: Chatbot, number: str = NUMBER, app_secret: str = APP_SECRET) -> int:
        """Connects a phone number at Meta; returns the account's id."""
        account, _ = await self.chat.connect_whatsapp_cloud(
            chatbot.id,
            {
                "phone_number_id": number,
                "access_token": ACCESS_TOKEN,
                "app_secret": app_secret,
                "verify_token": VERIFY_TOKEN,
            },
        )
        return account.id

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
        return await self.chat.enqueue_incoming_message(IncomingMessageIn(**values))

    async def conversation(self, conversation_id: int) -> Conversation:
        async with self.work.read() as session:
            row = await session.get(Conversation, conversation_id)
        assert row is not None
        return row

    async def message(self, message_id: int) -> Message:
        async with self.work.read() as session:
            row = await session.get(Message, message_id)
        assert row is not None
        return row

    async def messages(self, *roles: Role) -> list[Message]:
        """Every message of these roles, in order of id; by default those to users."""
        query = select(Message).where(Message.role.in_(roles or (Role.ASSISTANT, Role.HUMAN)))
        async with self.work.read() as session:
            return list(await session.scalars(query.order_by(Message.id)))

    async def answers(self, count: int, *, status: Sequence[str] = ("sent",), within: float = 10.0) -> list[Message]:
        """The messages to users, once so many have come to their end."""

        async def enough() -> list[Message]:
            rows = await self.messages()
            return rows if len([row for row in rows if row.status in status]) >= count else []

        return await eventually(enough, within=within)

    async def rows(self, model: type[Any], **equal: Any) -> list[Any]:
        query = select(model).filter_by(**equal).order_by(model.id)
        async with self.work.read() as session:
            return list(await session.scalars(query))

    async def set(self, model: type[Any], row_id: int, **values: Any) -> None:
        """Changes a row as time or another program would."""
        async with self.work.begin() as unit:
            await unit.session.execute(update(model).where(model.id == row_id).values(**values))

    async def lines(self, message_id: int) -> list[Delivery]:
        async with self.work.read() as session:
            return list(await history(session, "chat-message", message_id))

    def application(self) -> FastAPI:
        return create_application(
            routers=[self.feature.router()], lifespan=None, api_key=None, max_body_bytes=2**20, version="test"
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Calls the application without a socket."""
        transport = httpx.ASGITransport(self.application())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """The application on a real socket; its address."""
        port = free_port()
        config = uvicorn.Config(self.application(), port=port, log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        server.capture_signals = nullcontext  # type: ignore[method-assign]  # ctrl-C is pytest's
        task = asyncio.create_task(server.serve())

        async def is_up() -> bool:
            return server.started

        await eventually(is_up)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        await task
