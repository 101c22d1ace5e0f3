"""The composition root: settings → database, engine, channels, features. The only wiring there is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from types import TracebackType
from typing import Protocol, Self, TypeVar

from fastapi import FastAPI

from tidings.ai.openai import OpenAIModel, OpenAIWriter
from tidings.ai.template import TemplateWriter
from tidings.assembly import (
    Parts,
    build_chat,
    build_events,
    build_followups,
    build_proactive,
    build_shops,
)
from tidings.clock import Clock, SystemClock
from tidings.db.database import Database, open_database
from tidings.db.migrate import require_current, upgrade
from tidings.engine.broadcast import Broadcast
from tidings.engine.host import WorkerHost
from tidings.engine.jobs import Handler, Run
from tidings.engine.policy import QueuePolicy
from tidings.engine.queues import Queues
from tidings.engine.redis import check_server, connect
from tidings.engine.valkey import EmbeddedValkey
from tidings.errors import ConfigurationError, NotFound
from tidings.feature import Feature
from tidings.features.chat.feature import QUEUES as CHAT_QUEUES
from tidings.features.chat.service import Chat
from tidings.features.events.feature import QUEUES as EVENT_QUEUES
from tidings.features.events.service import Events
from tidings.features.followups.feature import QUEUES as FOLLOWUP_QUEUES
from tidings.features.followups.service import FollowUps
from tidings.features.proactive.feature import QUEUES as PROACTIVE_QUEUES
from tidings.features.proactive.service import Proactive
from tidings.features.shops.feature import QUEUES as SHOP_QUEUES
from tidings.features.shops.service import Shops
from tidings.log import get_logger
from tidings.messages.contacts.people import People
from tidings.messages.dead_letters import DeadLetters
from tidings.messages.delivery.pipeline import Ways
from tidings.messages.delivery.recovery import Sweep
from tidings.messages.gate.policy import Rules, parse_caps
from tidings.messages.gate.quiet_hours import QuietHours
from tidings.messages.inbound.notices import NOTICES, SEND_NOTICE, NoticeTexts, SendNotice, notice_outbox
from tidings.messages.inbound.replies import Inbound, IncomingReply, Received
from tidings.messages.kind import Outbox
from tidings.messages.routes.dead_letters import dead_letters_router
from tidings.messages.routes.inbound import inbound_router
from tidings.messages.routes.mitto import mitto_router
from tidings.messages.routes.people import people_router
from tidings.messages.routes.texts import texts_router
from tidings.messages.why import Why
from tidings.providers.base import Channel
from tidings.providers.http import HttpClient
from tidings.providers.mitto import Mitto
from tidings.providers.n8n import N8n
from tidings.providers.simulator import Simulator
from tidings.providers.smtp import Smtp
from tidings.providers.webhooks.send import Webhooks
from tidings.settings import Settings, environment, secret
from tidings.vault import Vault
from tidings.web.application import create_application
from tidings.web.health import QueueCounts, QueueHealth, QueueMetrics, WorkerHealth, WorkersHealth, queue_router
from tidings.work import Work

log = get_logger(__name__)

QUEUES = (NOTICES, *EVENT_QUEUES, *FOLLOWUP_QUEUES, *PROACTIVE_QUEUES, *SHOP_QUEUES, *CHAT_QUEUES)
"""Every queue of the house, as it is declared."""


class _Closes(Protocol):
    async def close(self) -> None: ...


Closable = TypeVar("Closable", bound=_Closes)


class App:
    """Everything one process needs, opened by `async with App(settings) as app`.

    `clock`, `simulator`, `queue_settings` (by default the environment) and `chat_channels` (in the place of
    providers of chats, by name) are for rehearsals: the demo runs a day in a minute and lets nothing leave the
    machine.
    With `migrate` the schema is brought up to date at opening; otherwise an old one is a ConfigurationError.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        simulator: Simulator | None = None,
        queue_settings: Mapping[str, str] | None = None,
        chat_channels: Mapping[str, Channel] | None = None,
        migrate: bool = False,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.simulator = simulator or Simulator(settings.data_dir / "simulator.jsonl")
        self._queue_settings = environment() if queue_settings is None else queue_settings
        self._chat_channels = chat_channels
        self._migrate = migrate
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.hosts: list[WorkerHost] = []

    database: Database
    redis_url: str
    policies: dict[str, QueuePolicy]
    queues: Queues
    channels: dict[str, Channel]
    work: Work
    contacts: People
    inbound: Inbound
    dead_letters: DeadLetters
    why: Why
    events: Events
    followups: FollowUps
    proactive: Proactive
    shops: Shops
    chat: Chat
    features: tuple[Feature, ...]
    outboxes: tuple[Outbox, ...]

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_workers()
        await self._stack.aclose()

    async def _open(self) -> None:
        settings = self.settings
        self.database = open_database(settings.database)
        self._stack.push_async_callback(self.database.close)
        if self._migrate:
            await upgrade(self.database)
        else:
            await require_current(self.database)

        self.redis_url = settings.redis_url or self._embedded_valkey()
        redis = connect(self.redis_url)
        self._stack.push_async_callback(redis.aclose)
        await check_server(redis)

        self.policies = {policy.name: policy.configured(self._queue_settings) for policy in QUEUES}
        self.queues = Queues(self.policies.values(), redis, prefix=settings.redis_prefix, clock=self.clock)
        self.work = Work(self.database, self.queues, self.clock)
        self._build()

    def _build(self) -> None:
        """The features, and what all of them share: one road out for each outbox, one gate, one door in."""
        settings, work = self.settings, self.work
        parts = self._parts()
        self.events, events = build_events(parts)
        self.followups, followups = build_followups(parts)
        self.proactive, proactive = build_proactive(parts)
        self.shops, shops = build_shops(parts)
        self.chat, chat = build_chat(parts, self._receive_reply, self._chat_channels)
        self.features = (events, followups, proactive, shops, chat)
        notices = parts.road(notice_outbox(self.policies[NOTICES.name]))

        async def send_notice(data: SendNotice, run: Run) -> str:
            return await notices.deliver(data.id, run)

        self._handlers = (
            Handler(SEND_NOTICE, send_notice),
            *(handler for feature in self.features for handler in feature.handlers),
        )
        self.outboxes = (notices.outbox, *(outbox for feature in self.features for outbox in feature.outboxes))
        self.contacts = People(work, region=settings.default_region)
        self.inbound = Inbound(work, self.outboxes, parts.texts, region=settings.default_region)
        self.dead_letters = DeadLetters(work, self.outboxes)
        self.why = Why(work, self.outboxes)

    def _parts(self) -> Parts:
        settings = self.settings
        http = self._closing(HttpClient(timeout=settings.http_timeout))
        model = self._open_model()
        return Parts(
            settings=settings,
            work=self.work,
            policies=self.policies,
            ways=Ways(self._open_channels(http)),
            rules=self._rules(),
            vault=Vault.from_settings(secret(settings.vault_key), settings.data_dir),
            http=http,
            webhooks=self._closing(Webhooks(allow_private=settings.webhooks_allow_private)),
            broadcast=self._closing(Broadcast(lambda: connect(self.redis_url), prefix=settings.redis_prefix)),
            writer=OpenAIWriter(model) if model else TemplateWriter(),
            model=model,
            texts=NoticeTexts(settings.brand, settings.support),
        )

    async def _receive_reply(self, reply: IncomingReply) -> Received:
        return await self.inbound.receive_reply(reply)

    def _closing(self, part: Closable) -> Closable:
        self._stack.push_async_callback(part.close)
        return part

    def _rules(self) -> Rules:
        settings = self.settings
        try:
            quiet_hours = QuietHours.parse(settings.quiet_hours)
        except ValueError as error:
            raise ConfigurationError(f"TIDINGS_QUIET_HOURS cannot be used: {error}.") from error
        return Rules(quiet_hours, parse_caps(settings.frequency_caps), settings.default_timezone)

    def _open_model(self) -> OpenAIModel | None:
        settings = self.settings
        key = secret(settings.openai_api_key)
        if key is None:
            return None
        return self._closing(OpenAIModel(key, settings.openai_base_url, settings.openai_model, settings.ai_timeout))

    def _embedded_valkey(self) -> str:
        embedded = EmbeddedValkey.start_or_join(self.settings.data_dir)
        self._stack.callback(embedded.leave)
        return embedded.url

    def _open_channels(self, http: HttpClient) -> dict[str, Channel]:
        """The provider of each channel; what is not configured goes to the simulator, never to the world."""
        settings = self.settings
        self.channels = {"sms": self.simulator, "email": self.simulator}
        if settings.n8n_outbound_webhook_url:
            self.channels["sms"] = N8n(http, settings.n8n_outbound_webhook_url)
        elif (key := secret(settings.mitto_api_key)) and settings.mitto_sender:
            token = secret(settings.mitto_callback_token)
            here = settings.public_url.rstrip("/") if settings.public_url else None
            callback = f"{here}/webhooks/mitto/{token}" if here and token else None
            self.channels["sms"] = Mitto(http, key, settings.mitto_sender, callback=callback)
        if settings.smtp_host:
            self.channels["email"] = Smtp(
                host=settings.smtp_host,
                port=settings.smtp_port,
                security=settings.smtp_security,
                username=settings.smtp_user,
                password=secret(settings.smtp_password),
                sender=settings.smtp_from,
                timeout=settings.http_timeout,
            )
        for channel in set(self.channels.values()):
            self._closing(channel)
        return self.channels

    def queue_names(self) -> list[str]:
        """Every queue of every feature."""
        return list(self.policies)

    def http(self) -> FastAPI:
        """The HTTP application over this process's features."""
        settings = self.settings
        return create_application(
            routers=[
                queue_router(self),
                inbound_router(self.inbound, secret(settings.n8n_inbound_secret)),
                mitto_router(self.inbound, self.shops.knows_callback, secret(settings.mitto_callback_token)),
                people_router(self.contacts, self.why),
                texts_router(),
                dead_letters_router(self.dead_letters),
                *(feature.router() for feature in self.features),
            ],
            lifespan=None,
            api_key=secret(settings.api_key),
            max_body_bytes=settings.max_body_bytes,
            version=version("tidings"),
            shop_of_key=self.shops.shop_of_api_key,
        )

    async def health(self) -> QueueHealth:
        """Whether Redis answers, and which queues have a worker, in this process or another."""
        if not await self.queues.ping():
            return QueueHealth(redis=False, workers=WorkersHealth(worker_count=len(self.policies), workers=[]))
        workers = [
            WorkerHealth(name=name, is_running=await self.queues.count_workers(name) > 0) for name in self.policies
        ]
        return QueueHealth(redis=True, workers=WorkersHealth(worker_count=len(workers), workers=workers))

    async def metrics(self) -> QueueMetrics:
        """`health`, and the counts of every queue. Raises QueueUnavailable."""
        health = await self.health()
        counts = {name: QueueCounts(**(await self.queues.stats(name)).as_dict()) for name in self.policies}
        return QueueMetrics(redis=health.redis, workers=health.workers, queues=counts)

    async def start_workers(self, queue_names: Sequence[str] | None = None) -> None:
        """Starts working on the given queues, by default on all, and keeps their jobs complete meanwhile.

        Raises NotFound for a queue that no feature has.
        """
        wanted = set(queue_names or self.policies)
        for name in sorted(wanted - set(self.policies)):
            raise NotFound("queue", f"{name}; there are {', '.join(self.policies)}")
        host = WorkerHost(
            self.queues,
            lambda: connect(self.redis_url),
            prefix=self.settings.redis_prefix,
            lock_duration=self.settings.lock_duration,
            on_dead_letter=self.dead_letters.store,
            clock=self.clock,
        )
        self.hosts.append(host)
        for name, policy in self.policies.items():
            if name in wanted:
                host.start(policy, [one for one in self._handlers if one.job_type.queue.name == name])
        sweep = Sweep(
            self.work,
            self.outboxes,
            [schedule for feature in self.features for schedule in feature.schedules],
            interval=self.settings.sweep_interval,
        )
        self._tasks.append(asyncio.create_task(sweep.run()))

    async def stop_workers(self) -> None:
        """Lets running jobs end and stops working. Harmless when nothing runs."""
        for task in self._tasks:
            while not task.done():
                task.cancel()  # once more, if what it was waiting for has swallowed it
                await asyncio.wait({task}, timeout=0.5)
        self._tasks.clear()
        while self.hosts:
            await self.hosts.pop().close()
