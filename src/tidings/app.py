"""The composition root: settings → database, engine, providers, features. The only wiring there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tidings.clock import Clock, SystemClock
from tidings.closing import ClosingStack, ends_within
from tidings.db.addresses import read_address
from tidings.db.database import Database, open_database
from tidings.db.migrate import require_current, upgrade
from tidings.db.vault_keys import require_known_key
from tidings.errors import ConfigurationError, NotFound
from tidings.log import get_logger
from tidings.messages.inbound.notices import Notices
from tidings.messages.kind import MessageKind
from tidings.messages.retention import EVERY_HOUR, Retention, keepings
from tidings.messages.why import Why
from tidings.registry import (
    NAMES,
    Features,
    Settings,
    build,
    callback_providers,
    declared_queues,
    feature_kinds,
    feature_module,
    look_at_variables,
    unusable,
)
from tidings.settings import environment, secret
from tidings.work import Work

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tidings.ai.openai import OpenAIModel
    from tidings.engine.clocks import Clocks
    from tidings.engine.host import WorkerHost
    from tidings.engine.jobs import AnyHandler
    from tidings.engine.policy import QueuePolicy
    from tidings.engine.queues import Queues
    from tidings.feature import Feature, Parts
    from tidings.messages.contacts.consents.consents import Consents
    from tidings.messages.contacts.opting import OptOutDesk
    from tidings.messages.contacts.people import People
    from tidings.messages.dead_letters import DeadLetters
    from tidings.messages.delivery.providers import Providers
    from tidings.messages.delivery.recovery import Recovery
    from tidings.messages.delivery.waking import Waking
    from tidings.messages.doctor.doctor import Doctor
    from tidings.messages.health import HealthCheck
    from tidings.messages.inbound.door import Inbound
    from tidings.messages.inbound.listing import ReplyList
    from tidings.messages.tenant_settings import TenantSettings
    from tidings.messages.unknown import UnknownOutcomes
    from tidings.parts import Outside
    from tidings.providers.base import Provider
    from tidings.providers.simulator import Simulator
    from tidings.vault import Vault
    from tidings.web.access import KeyHolder


log = get_logger(__name__)

JOBS_SHARE, CLOSING_SHARE = 0.75, 0.1
"""What part of a process's grace its jobs have to end, and what part of that it may take to leave the others."""

STOP_TRIES = (0.02, 0.1, 0.5, 0.5, 0.5, 0.5, 0.5)
"""Seconds that a task has to end after each time that it is cancelled."""


def declared_kinds() -> Iterator[type[MessageKind]]:
    """Every kind of message. A feature is loaded when its turn comes, so that whoever looks for one may stop."""
    yield Notices
    yield from feature_kinds()


def load_everything() -> None:
    """Loads all that an application loads when it is opened and works, for whoever has no time for that then."""
    for module in ("tidings.opening", "tidings.engine.host", "tidings.messages.delivery.recovery"):
        import_module(module)
    for name in NAMES:
        feature_module(name, "feature")


class App(Features):
    """Everything one process needs, opened by `async with App(settings) as app`.

    What is not given is made as the settings say. For rehearsals and tests there are `clock`, `simulator` (in the
    place of providers of SMS and mails that are not set up), `providers` (in the place of those under the same
    names), `model` (the AI) and `queue_settings` (by default the environment). Who gives a part closes it.
    With `migrate` the schema is brought up to date at opening; otherwise an old one is a ConfigurationError.
    With `reading` nothing but the database is opened, and features are built when they are asked for: they answer
    questions about rows, and raise RuntimeError when they are to change any.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        simulator: Simulator | None = None,
        providers: Mapping[str, Provider] | None = None,
        model: OpenAIModel | None = None,
        queue_settings: Mapping[str, str] | None = None,
        migrate: bool = False,
        reading: bool = False,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._given: dict[str, Any] = {"simulator": simulator, "providers": providers or {}, "model": model}
        self._queue_settings = environment() if queue_settings is None else queue_settings
        self._migrate = migrate
        self._reading = reading
        self._said_channels = False
        self._stack = ClosingStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._built: dict[str, Feature] = {}
        self.hosts: list[WorkerHost] = []

    database: Database
    work: Work
    clocks: Clocks
    handlers: tuple[AnyHandler, ...]
    recovery: Recovery
    waking: Waking

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
        self._look_at_settings()
        self.database = open_database(self.settings.database, timeout=self.settings.database_timeout)
        self._stack.push_async_callback(self.database.close)
        for note in self.database.notes:
            log.warning(note)
        if self._migrate:
            await upgrade(self.database)
        else:
            await require_current(self.database)
        if self._reading:
            self.work = Work(self.database, None, self.clock)
        else:
            await self._open_outside()
            self._build()

    def _look_at_settings(self) -> None:
        """Everything that is wrong with them is told at once."""
        wrong, near = look_at_variables(self._queue_settings, () if self._reading else declared_queues())
        if wrong and self._reading:  # features are loaded for a better sentence alone
            wrong, near = look_at_variables(self._queue_settings, declared_queues())
        for look in self._looks():
            try:
                look()
            except ConfigurationError as error:
                wrong.append(str(error).rstrip("."))
        if wrong:
            raise unusable(wrong)
        for sentence in () if self._reading else near:
            log.warning(sentence)

    def _looks(self) -> Iterator[Callable[[], object]]:
        yield lambda: read_address(self.settings.database)
        if not self._reading:
            from tidings.engine.addresses import read_address as read_redis_address
            from tidings.parts import rules_of

            yield lambda: rules_of(self.settings)
            yield lambda: read_redis_address(self.settings.redis or "unix:///embedded")

    async def _open_outside(self) -> None:
        from tidings.opening import open_outside

        policies, recovered = self.policies.values(), [one for kind in declared_kinds() for one in kind.job_types()]
        self.outside = await open_outside(self.settings, policies, recovered, self.clock, self._stack, **self._given)
        await require_known_key(self.database, self.vault.names)
        self.work = Work(self.database, self.outside.queues, self.clock)
        await self._compare_clocks()

    async def _compare_clocks(self) -> None:
        from tidings.db.clock import database_time
        from tidings.engine.clocks import Clocks

        apart = self.database.dialect == "postgresql"  # a file's database goes by this machine's clock
        self.clocks = Clocks(self.clock, self.queues, partial(database_time, self.database) if apart else None)
        await self.clocks.measure()
        comparing = asyncio.create_task(self.clocks.run())
        # Awaited: what it asks at this moment would open the connection to Redis anew, which nobody would close.
        self._stack.push_async_callback(partial(self._stop_task, comparing, "comparing clocks"))

    def _build(self) -> None:
        """Everything that works and serves: the features, and what looks after their jobs."""
        from tidings.messages.delivery.recovery import Recovery
        from tidings.messages.delivery.waking import Waking

        notices = self.parts.pipeline(Notices(self.parts.accounts))
        for name in NAMES:
            self.service_of(name)
        kept = keepings(self.settings, self.kinds)
        retention = Retention(self.work, [*kept, *(one for feature in self.features for one in feature.keeps)])
        of_features = (one for feature in self.features for one in feature.handlers)
        self.handlers = (*notices.handlers(), retention.handler(), *of_features)
        schedules = [EVERY_HOUR, *(schedule for feature in self.features for schedule in feature.schedules)]
        self.recovery = Recovery(self.work, self.kinds, schedules, interval=self.settings.sweep_interval)
        self.waking = Waking(self.work, self.kinds, self.providers)

    def service_of(self, name: str) -> Any:
        """The service of the feature with this name, which is built when it was not yet."""
        if name not in self._built:
            self._built[name] = build(name, self.parts)
        return self._built[name].service

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features that are built: all of them, unless the application only reads."""
        return tuple(self._built.values())

    @cached_property
    def policies(self) -> dict[str, QueuePolicy]:
        """Every queue by its name, as it is configured."""
        return {policy.name: policy.configured(self._queue_settings) for policy in declared_queues()}

    @cached_property
    def outside(self) -> Outside:
        """Redis, the providers, the AI and the key of secrets."""
        from tidings.parts import nothing_outside

        return nothing_outside()

    @cached_property
    def parts(self) -> Parts:
        """What features are made of."""
        from tidings.parts import make_parts

        return make_parts(self.settings, self.work, self.policies, self.outside)

    @property
    def queues(self) -> Queues:
        """The queues of this installation's Redis."""
        return self.work.queues

    @property
    def redis_url(self) -> str:
        """Where that is."""
        return self.outside.redis_url

    @property
    def providers(self) -> Providers:
        """The provider of each channel."""
        return self.outside.providers

    @property
    def simulator(self) -> Simulator:
        """What takes the messages of channels that have no provider."""
        return self.outside.simulator

    @property
    def vault(self) -> Vault:
        """Seals what is stored of other people's keys."""
        return self.outside.vault

    @property
    def kinds(self) -> Mapping[str, MessageKind]:
        """The kinds of messages of the features that are built."""
        return self.parts.kinds

    @property
    def inbound(self) -> Inbound:
        """Where replies and delivery reports go in."""
        return self.parts.inbound

    @cached_property
    def contacts(self) -> People:
        """People: finding, showing and editing them, their consents and opt-outs."""
        from tidings.messages.contacts.people import People

        return People(self.work, self.opt_outs, declared_kinds, region=self.settings.default_region)

    @cached_property
    def consents(self) -> Consents:
        """What people agreed to."""
        from tidings.messages.contacts.consents.consents import Consents

        return Consents(self.work, region=self.settings.default_region, enrol=self.parts.enrol)

    @cached_property
    def tenants(self) -> TenantSettings:
        """Brand and rules of each tenant."""
        from tidings.messages.tenant_settings import TenantSettings

        return TenantSettings(self.work, self.settings)

    @cached_property
    def opt_outs(self) -> OptOutDesk:
        """Who wants no messages any more."""
        from tidings.messages.contacts.opting import OptOutDesk

        return OptOutDesk(self.work, self.kinds, region=self.settings.default_region, reach=self.parts.reach)

    @cached_property
    def replies(self) -> ReplyList:
        """What people answered."""
        from tidings.messages.inbound.listing import ReplyList

        return ReplyList(self.work)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """Jobs that failed for good."""
        from tidings.messages.dead_letters import DeadLetters

        return DeadLetters(self.work, self.kinds)

    @cached_property
    def unknown(self) -> UnknownOutcomes:
        """Messages that may have left, and how a person settles them."""
        from tidings.messages.unknown import UnknownOutcomes

        return UnknownOutcomes(self.work, declared_kinds, lambda: self.inbound.reports)

    @cached_property
    def why(self) -> Why:
        """Says why a message did or did not go out."""
        settings = self.settings
        return Why(self.work, declared_kinds, kept_days=settings.keep_ledger_days, timezone=settings.default_timezone)

    @cached_property
    def doctor(self) -> Doctor:
        """Looks for what is wrong with this installation."""
        from tidings.engine.listing import JobListing
        from tidings.messages.doctor.doctor import Doctor

        settings = self.settings
        return Doctor(
            self.work,
            self.kinds,
            self.dead_letters,
            self.unknown,
            lambda: JobListing.opened(self.redis_url, settings.redis_prefix),
            clocks=self.clocks.offsets,
            interval=settings.sweep_interval,
        )

    def _say_channels(self) -> None:
        """Once in a process that works or serves: which channels are real."""
        if not self._said_channels:
            from tidings.messages.delivery.providers import of_simulated

            self._said_channels, channels = True, self.providers.channels()
            log.info("channels", **channels)
            for sentence in of_simulated(channels):
                log.warning(sentence)

    def queue_names(self) -> list[str]:
        """Every queue of every feature."""
        return list(self.policies)

    def http(self) -> FastAPI:
        """The HTTP application over this process's features."""
        # Routes are built when their modules are loaded, and workers do without them.
        from tidings.messages.contacts.unsubscribing import Unsubscribing
        from tidings.messages.routes import (
            callbacks,
            consents,
            contacts,
            dead_letters,
            inbound,
            opt_outs,
            people,
            replies,
            tenants,
            texts,
            unknown,
            unsubscribe,
        )
        from tidings.providers.n8n import N8nSettings
        from tidings.web import health
        from tidings.web.application import create_application

        self._say_channels()
        settings, settings_of = self.settings, self.parts.settings_of
        calling = callback_providers()
        shared = (
            health.Probe(
                self.health.look,
                self.health.measure,
                self.clocks.offsets,
                self.providers.channels,
                self.health.resting,
            ),
            inbound.N8nCallbacks(self.inbound, secret(settings_of(N8nSettings).n8n_inbound_secret)),
            callbacks.Callbacks(
                self.inbound,
                {name: provider.callback_token(settings) for name, provider in calling.items()},
                [feature.tenant_of_callback for feature in self.features if feature.tenant_of_callback],
            ),
            self.contacts,
            self.opt_outs,
            self.consents,
            self.tenants,
            self.replies,
            Unsubscribing(self.work, self.parts.links, self.parts.sender, self.parts.reach),
            self.dead_letters,
            self.unknown,
            self.why,
        )
        own = [part for feature in self.features for part in (feature.service, *feature.parts)]
        routers = [
            module.router
            for module in (
                *(health, inbound, opt_outs, consents, people, contacts, replies, tenants, texts, dead_letters),
                unknown,
                unsubscribe,
            )
        ]
        routers.append(callbacks.callback_router(**{name: one.read_callback for name, one in calling.items()}))
        return create_application(
            routers=[*routers, *(feature.router() for feature in self.features)],
            parts={type(part): part for part in (*shared, *own)},
            api_key=secret(settings.api_key),
            max_body_bytes=settings.max_body_bytes,
            version=version("tidings"),
            holder_of_key=self._holder_of_key,
        )

    async def _holder_of_key(self, key: str) -> KeyHolder | None:
        for feature in self.features:
            if feature.holder_of_key and (holder := await feature.holder_of_key(key)):
                return holder
        return None

    @cached_property
    def health(self) -> HealthCheck:
        """Whether messages can leave."""
        from tidings.messages.delivery.waiting import away_by_rows
        from tidings.messages.health import HealthCheck

        return HealthCheck(
            self.database,
            self.queues,
            self.recovery,
            works=lambda: bool(self._tasks),
            clocks=self.clocks.offsets,
            channels=self.providers.channels,
            resting=self.providers.resting,
            waiting=partial(away_by_rows, self.work, self.kinds),
        )

    async def start_workers(self, queue_names: Sequence[str] | None = None) -> None:
        """Starts working on the given queues, by default on all, and keeps their jobs complete meanwhile.

        Raises NotFound for a queue that no feature has.
        """
        from tidings.engine.host import WorkerHost
        from tidings.engine.redis import connect
        from tidings.messages.delivery.adoption import adopt_leftovers

        wanted = set(queue_names or self.policies)
        for name in sorted(wanted - set(self.policies)):
            raise NotFound("queue", f"{name}; there are {', '.join(self.policies)}")
        self._say_channels()
        self.outside.http.open()  # now, or the first message would wait for it
        await adopt_leftovers(self.parts.journal, self.parts.pipelines)
        for pipeline in self.parts.pipelines:
            if wanted.intersection(job_type.queue.name for job_type in pipeline.kind.job_types()):
                await pipeline.warm_up()
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
                host.start(policy, [one for one in self.handlers if one.job_type.queue.name == name])
        self._tasks += [asyncio.create_task(self.recovery.run()), asyncio.create_task(self.waking.run())]

    async def stop_workers(self) -> None:
        """Lets running jobs end and stops working. Harmless when nothing runs.

        Jobs that do not end within three quarters of the grace are left to another worker.
        """
        self._keep_outcomes()
        tasks, hosts, grace = self._tasks, self.hosts, self.settings.stop_grace * JOBS_SHARE
        self._tasks, self.hosts = [], []
        await asyncio.gather(
            *(self._stop_task(task, "recovery") for task in tasks),
            *(self._stop_working(host, grace) for host in hosts),
        )
        self._keep_outcomes(for_good=True)

    def _keep_outcomes(self, *, for_good: bool = False) -> None:
        """What was handed over and is not recorded yet is in the journal, whatever ends this process now."""
        if "parts" in self.__dict__:  # it was opened, and not for reading
            for pipeline in self.parts.pipelines:
                if for_good:
                    pipeline.close()
                else:
                    pipeline.keep()
            if for_good:
                self.parts.journal.close()

    async def _stop_working(self, host: WorkerHost, grace: float) -> None:
        if not await ends_within(grace + CLOSING_SHARE * grace, host.close(grace)):
            log.warning("workers did not end in time, and are left", queues=[name for name, _ in host.status()])

    async def _stop_task(self, task: asyncio.Task[None], what: str) -> None:
        for seconds in STOP_TRIES:
            task.cancel()  # once more, if what it was waiting for has swallowed it
            await asyncio.wait({task}, timeout=seconds)
            if task.done():
                return
        log.warning("a task did not end in time, and is left", what=what)
