"""The composition root: settings → database, engine, channels, features. The only wiring there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version
from types import TracebackType
from typing import Self

from fastapi import FastAPI

from tidings.ai.base import Writer
from tidings.ai.openai import OpenAIModel, OpenAIWriter
from tidings.ai.template import TemplateWriter
from tidings.channels.base import Channel
from tidings.channels.http import HttpClient
from tidings.channels.n8n import N8n
from tidings.channels.simulator import Simulator
from tidings.channels.smtp import Smtp
from tidings.clock import Clock, SystemClock
from tidings.db.database import Database, open_database
from tidings.db.migrate import require_current, upgrade
from tidings.engine.host import WorkerHost
from tidings.engine.jobs import Handler, Run
from tidings.engine.policy import QueuePolicy
from tidings.engine.queues import Queues
from tidings.engine.redis import check_server, connect
from tidings.engine.valkey import EmbeddedValkey
from tidings.errors import ConfigurationError, NotFound
from tidings.features.base import Feature
from tidings.features.events.feature import QUEUES as EVENT_QUEUES
from tidings.features.events.feature import events_feature
from tidings.features.events.jobs import EVENT_MESSAGES
from tidings.features.events.moments import event_moments
from tidings.features.events.outbox import event_outbox
from tidings.features.events.service import Events
from tidings.features.followups.feature import QUEUES as FOLLOWUP_QUEUES
from tidings.features.followups.feature import followups_feature
from tidings.features.followups.jobs import CONTRACTOR_FOLLOWUPS
from tidings.features.followups.outbox import followup_outbox
from tidings.features.followups.service import FollowUps
from tidings.features.followups.writing import Wording
from tidings.features.proactive.feature import QUEUES as PROACTIVE_QUEUES
from tidings.features.proactive.feature import proactive_feature
from tidings.features.proactive.jobs import PROACTIVE_MESSAGES
from tidings.features.proactive.outbox import proactive_outbox
from tidings.features.proactive.safeguards import Safeguards
from tidings.features.proactive.service import Proactive
from tidings.log import get_logger
from tidings.messages.delivery import Road, Ways
from tidings.messages.inbound import Inbound
from tidings.messages.notices import NOTICES, SEND_NOTICE, NoticeTexts, SendNotice, notice_outbox
from tidings.messages.outbox import Outbox
from tidings.messages.people import People
from tidings.messages.policy import Rules, parse_caps
from tidings.messages.quiet_hours import QuietHours
from tidings.messages.sweep import Sweep
from tidings.messages.why import Why
from tidings.settings import Settings, environment
from tidings.web.application import create_application
from tidings.web.health import QueueCounts, QueueHealth, QueueMetrics, WorkerHealth, WorkersHealth, queue_router
from tidings.web.inbound import inbound_router
from tidings.web.people import people_router
from tidings.web.texts import texts_router
from tidings.work import Work

log = get_logger(__name__)

RoadOf = Callable[[Outbox], Road]

QUEUES = (NOTICES, *EVENT_QUEUES, *FOLLOWUP_QUEUES, *PROACTIVE_QUEUES)
"""Every queue of the house, as it is declared."""


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
    writer: Writer
    contacts: People
    inbound: Inbound
    why: Why
    events: Events
    followups: FollowUps
    proactive: Proactive
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
        self.channels = self._open_channels()
        self.writer = self._open_writer()
        self._build()

    def _build(self) -> None:
        """The features, and what all of them share: one road out for each outbox, one gate, one door in."""
        settings, work = self.settings, self.work
        rules = self._rules()
        ways = Ways(self.channels)

        def road(outbox: Outbox) -> Road:
            return Road(outbox, work, ways, rules, deadline=settings.http_timeout)

        self.features = (self._events(road), self._followups(road), self._proactive(road))
        notices = road(notice_outbox(self.policies[NOTICES.name]))

        async def send_notice(data: SendNotice, run: Run) -> str:
            return await notices.deliver(data.id, run)

        self._handlers = (
            Handler(SEND_NOTICE, send_notice),
            *(handler for feature in self.features for handler in feature.handlers),
        )
        self.outboxes = (notices.outbox, *(outbox for feature in self.features for outbox in feature.outboxes))
        self.contacts = People(work, region=settings.default_region)
        texts = NoticeTexts(settings.brand, settings.support)
        self.inbound = Inbound(work, self.outboxes, texts, region=settings.default_region)
        self.why = Why(work, self.outboxes)

    def _events(self, road: RoadOf) -> Feature:
        settings = self.settings
        self.events = Events(self.work, region=settings.default_region, timezone=settings.default_timezone)
        return events_feature(self.events, self.work, road(event_outbox(self.policies[EVENT_MESSAGES.name])))

    def _followups(self, road: RoadOf) -> Feature:
        settings = self.settings
        zone = settings.default_timezone
        wording = Wording(self.writer, timezone=zone, max_segments=settings.sms_max_segments)
        self.followups = FollowUps(self.work, wording, timezone=zone)
        outbox = followup_outbox(
            self.policies[CONTRACTOR_FOLLOWUPS.name],
            wording,
            self.clock,
            timezone=zone,
            compose_seconds=settings.ai_timeout,
        )
        return followups_feature(self.followups, road(outbox))

    def _proactive(self, road: RoadOf) -> Feature:
        settings = self.settings
        safeguards = Safeguards(approval_timeout=timedelta(hours=settings.proactive_approval_hours))
        self.proactive = Proactive(
            self.work,
            self.writer,
            timezone=settings.default_timezone,
            moments=(event_moments,),
            safeguards=safeguards,
            deliver_now=settings.proactive_deliver_now,
            max_segments=settings.sms_max_segments,
        )
        outbox = proactive_outbox(self.policies[PROACTIVE_MESSAGES.name], safeguards)
        return proactive_feature(self.proactive, road(outbox))

    def _rules(self) -> Rules:
        settings = self.settings
        try:
            quiet_hours = QuietHours.parse(settings.quiet_hours)
        except ValueError as error:
            raise ConfigurationError(f"TIDINGS_QUIET_HOURS cannot be used: {error}.") from error
        return Rules(quiet_hours, parse_caps(settings.frequency_caps), settings.default_timezone)

    def _open_writer(self) -> Writer:
        settings = self.settings
        writer: Writer = TemplateWriter()
        if settings.openai_api_key:
            model = OpenAIModel(
                settings.openai_api_key.get_secret_value(),
                settings.openai_base_url,
                settings.openai_model,
                settings.ai_timeout,
            )
            writer = OpenAIWriter(model)
        self._stack.push_async_callback(writer.close)
        return writer

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
            routers=[
                queue_router(self),
                inbound_router(self.inbound, self._inbound_secret()),
                people_router(self.contacts, self.why),
                texts_router(),
                *(feature.router() for feature in self.features),
            ],
            lifespan=None,
            api_key=self.settings.api_key.get_secret_value() if self.settings.api_key else None,
            max_body_bytes=self.settings.max_body_bytes,
            version=version("tidings"),
        )

    def _inbound_secret(self) -> str | None:
        secret = self.settings.n8n_inbound_secret
        return secret.get_secret_value() if secret else None

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
