"""The parts of an application that features are made of: what is inside its process, and what is outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from tidings.ai.template import TemplateWriter
from tidings.errors import ConfigurationError
from tidings.feature import Parts
from tidings.messages.contacts.unsubscribing import UnsubscribeLinks
from tidings.messages.delivery.journal import Journal
from tidings.messages.delivery.providers import Providers
from tidings.messages.gate.opt_outs import Reach
from tidings.messages.gate.quiet_hours import QuietHours
from tidings.messages.gate.rules import Rules, parse_caps, parse_hours_by_country
from tidings.messages.inbound.door import Inbound
from tidings.messages.inbound.tenant_words import TenantKeywords
from tidings.messages.kind import MessageKind
from tidings.messages.tenants import Sender
from tidings.settings import CoreSettings
from tidings.work import Work

if TYPE_CHECKING:
    from tidings.ai.base import Writer
    from tidings.ai.openai import OpenAIModel
    from tidings.engine.broadcast import Broadcast
    from tidings.engine.policy import QueuePolicy
    from tidings.engine.queues import Queues
    from tidings.providers.http import HttpClient
    from tidings.providers.simulator import Simulator
    from tidings.vault import Vault


@dataclass(frozen=True)
class Outside:
    """What an application has outside its own process and database. `model` is the AI, where there is one."""

    redis_url: str
    queues: Queues
    broadcast: Broadcast
    simulator: Simulator
    http: HttpClient
    providers: Providers
    vault: Vault
    model: OpenAIModel | None
    writer: Writer


class _Closed:
    """Stands where nothing was opened."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("this application was opened for reading: it has no queues, no providers and no secrets")


def nothing_outside() -> Outside:
    """For whoever only reads the database: using anything raises RuntimeError."""
    closed: Any = _Closed()
    return Outside(
        redis_url="",
        queues=closed,
        broadcast=closed,
        simulator=closed,
        http=closed,
        providers=Providers({}),
        vault=closed,
        model=None,
        writer=TemplateWriter(),
    )


def make_parts(settings: CoreSettings, work: Work, policies: Mapping[str, QueuePolicy], outside: Outside) -> Parts:
    """What all features share: one way out, one gate, one door in. Raises ConfigurationError."""
    kinds: dict[str, MessageKind] = {}
    keywords: dict[str, TenantKeywords] = {}
    sender = Sender(settings.brand, settings.support)
    reach = Reach(settings.opt_outs == "installation")
    return Parts(
        settings=settings,
        work=work,
        policies=policies,
        providers=outside.providers,
        rules=_rules(settings),
        inbound=Inbound(work, kinds, sender, region=settings.default_region, reach=reach, keywords=keywords),
        vault=outside.vault,
        broadcast=outside.broadcast,
        writer=outside.writer,
        model=outside.model,
        sender=sender,
        reach=reach,
        links=UnsubscribeLinks(outside.vault, settings.public_url),
        journal=Journal(settings.data_dir / "journal"),
        kinds=kinds,
        keywords=keywords,
    )


def _rules(settings: CoreSettings) -> Rules:
    try:
        quiet_hours = QuietHours.parse(settings.quiet_hours)
    except ValueError as error:
        raise ConfigurationError(f"TIDINGS_QUIET_HOURS cannot be used: {error}.") from error
    try:
        by_country = parse_hours_by_country(settings.quiet_hours_by_country)
    except ValueError as error:
        raise ConfigurationError(f"TIDINGS_QUIET_HOURS_BY_COUNTRY cannot be used: {error}.") from error
    try:
        caps = parse_caps(settings.frequency_caps)
    except ValueError as error:
        raise ConfigurationError(f"TIDINGS_FREQUENCY_CAPS cannot be used: {error}.") from error
    return Rules(quiet_hours, caps, settings.default_timezone, by_country)
