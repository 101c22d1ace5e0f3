"""The composition root: settings → database, engine, channels, features. The only wiring there is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

from fastapi import FastAPI

from tidings.channels.base import Channel
from tidings.channels.http import HttpClient
from tidings.channels.n8n import N8n
from tidings.channels.simulator import Simulator
from tidings.channels.smtp import Smtp
from tidings.clock import Clock, SystemClock
from tidings.db.database import Database, open_database
from tidings.db.migrate import require_current, upgrade
from tidings.engine.host import WorkerHost
from tidings.engine.jobs import Handler
from tidings.engine.policy import QueuePolicy
from tidings.engine.queues import Queues
from tidings.engine.redis import check_server, connect
from tidings.engine.valkey import EmbeddedValkey
from tidings.errors import NotFound
from tidings.features.base import Feature
from tidings.features.events.feature import QUEUES as EVENT_QUEUES
from tidings.features.events.feature import events_feature
from tidings.features.events.jobs import EVENT_MESSAGES
from tidings.features.events.outbox import event_outbox
from tidings.features.events.service import Events
from tidings.log import get_logger
from tidings.messages.delivery import Road
from tidings.messages.sweep import Sweep
from tidings.settings import Settings, environment
from tidings.web.application import create_application
from tidings.web.health import QueueCounts, QueueHealth, QueueMetrics, WorkerHealth, WorkersHealth, queue_router
from tidings.work import Work

log = get_logger(__name__)


class App:
    """Everything one process needs, opened by `async with App(settings) as app`.

    `clock`, `simulator` and `queue_settings` (by default the environment) are for rehearsals: the demo runs
    a day in a minute and lets nothing leave the machine.
    With `migrate` the schema is brought up to date at opening; otherwise an old one is a ConfigurationError.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        simulator: Simulator | None = None,
        queue_settings: Mapping[str, str] | None = None,
        migrate: bool = False,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.simulator = simulator or Simulator(settings.data_dir / "simulator.jsonl")
        self._queue_settings = environment() if queue_settings is None else queue_settings
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
    events: Events
    features: tuple[Feature, ...]

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

        self.policies = {policy.name: policy.configured(self._queue_settings) for policy in EVENT_QUEUES}
        self.queues = Queues(self.policies.values(), redis, prefix=settings.redis_prefix, clock=self.clock)
        self.work = Work(self.database, self.queues, self.clock)
        self.channels = self._open_channels()

        self.events = Events(self.work, region=settings.default_region, timezone=settings.default_timezone)
        queue = self.policies[EVENT_MESSAGES.name]
        road = Road(
            event_outbox(queue),
            queue,
            self.database,
            self.channels,
            self.clock,
            deadline=settings.http_timeout,
        )
        self.features = (events_feature(self.events, self.work, road),)

    def _embedded_valkey(self) -> str:
        embedded = EmbeddedValkey.start_or_join(self.settings.data_dir)
        self._stack.callback(embedded.leave)
        return embedded.url

    def _open_channels(self) -> dict[str, Channel]:
        """The provider of each channel; what is not configured goes to the simulator, never to the world."""
        settings = self.settings
        channels: dict[str, Channel] = {"sms": self.simulator, "email": self.simulator}
        if settings.n8n_outbound_webhook_url:
            http = HttpClient(timeout=settings.http_timeout)
            self._stack.push_async_callback(http.close)
            channels["sms"] = N8n(http, settings.n8n_outbound_webhook_url)
        if settings.smtp_host:
            channels["email"] = Smtp(
                host=settings.smtp_host,
                port=settings.smtp_port,
                security=settings.smtp_security,
                username=settings.smtp_user,
                password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
                sender=settings.smtp_from,
                timeout=settings.http_timeout,
            )
        for channel in {id(channel): channel for channel in channels.values()}.values():
            self._stack.push_async_callback(channel.close)
        return channels

    def queue_names(self) -> list[str]:
        """Every queue of every feature."""
        return list(self.policies)

    def http(self) -> FastAPI:
        """The HTTP application over this process's features."""
        return create_application(
            routers=[queue_router(self), *(feature.router for feature in self.features)],
            lifespan=None,
            api_key=self.settings.api_key.get_secret_value() if self.settings.api_key else None,
            max_body_bytes=self.settings.max_body_bytes,
            version=version("tidings"),
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
        )
        self.hosts.append(host)
        for feature in self.features:
            for declared in feature.queues:
                if declared.name in wanted:
                    host.start(self.policies[declared.name], _handlers_of(feature, declared))
        sweep = Sweep(
            self.work,
            [outbox for feature in self.features for outbox in feature.outboxes],
            [schedule for feature in self.features for schedule in feature.schedules],
            interval=self.settings.sweep_interval,
        )
        self._tasks.append(asyncio.create_task(sweep.run()))

    async def stop_workers(self) -> None:
        """Lets running jobs end and stops working. Harmless when nothing runs."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        while self.hosts:
            await self.hosts.pop().close()


def _handlers_of(feature: Feature, queue: QueuePolicy) -> list[Handler[Any]]:
    return [handler for handler in feature.handlers if handler.job_type.queue.name == queue.name]
