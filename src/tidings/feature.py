"""What a feature is, and how it reads what people give it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings import validation
from tidings.engine.jobs import AnyHandler, Schedule
from tidings.errors import InvalidFields, InvalidInput
from tidings.messages.delivery.journal import Journal
from tidings.messages.delivery.pipeline import DeliveryPipeline
from tidings.messages.retention import Keeping
from tidings.settings import CoreSettings, Group, group_of

if TYPE_CHECKING:
    from fastapi import APIRouter

    from tidings.ai.base import Writer
    from tidings.ai.openai import OpenAIModel
    from tidings.engine.broadcast import Broadcast
    from tidings.engine.policy import QueuePolicy
    from tidings.messages.contacts.consents.consents import Enrol
    from tidings.messages.contacts.unsubscribing import UnsubscribeLinks
    from tidings.messages.delivery.providers import Providers
    from tidings.messages.gate.opt_outs import Reach
    from tidings.messages.gate.rules import Rules
    from tidings.messages.inbound.door import Inbound
    from tidings.messages.inbound.notices import Accounts
    from tidings.messages.inbound.tenant_words import TenantKeywords
    from tidings.messages.kind import MessageKind
    from tidings.messages.tenants import Sender
    from tidings.vault import Vault
    from tidings.web.access import HolderOfKey
    from tidings.work import Work

Model = TypeVar("Model", bound=BaseModel)

MOST_TOLD = 100
"""Most mistakes of one input that are told."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that happened to a contact in one feature, and that another may refer to.

    `kind` is a word such as `event_ended`, `at` is UTC, `facts` are what may be said about it.
    """

    contact_id: int
    kind: str
    at: datetime
    facts: Mapping[str, Any]


TenantOfToken = Callable[[str], Awaitable[str | None]]
"""For which tenant a provider calls back with a token; None: for none of this feature's."""

Activities = Callable[[AsyncSession, Sequence[int]], Awaitable[Sequence[Activity]]]
"""What a feature tells the others: the activities of the given contacts."""


@dataclass(frozen=True)
class Parts:
    """What features are made of, and what they leave for each other.

    `kinds`, `pipelines`, `activities` and, by kind of tenant, `accounts` (through what they write), `keywords` (words
    that mean something to one of them) and `enrol` (what becomes of who consents to their messages) fill up while
    the features are built; when anything runs they are complete. `sender` is who the installation's notices speak
    for, `reach` whom a STOP concerns, `links` are what promotional mails are unsubscribed by.
    """

    settings: CoreSettings
    work: Work
    policies: Mapping[str, QueuePolicy]
    providers: Providers
    rules: Rules
    inbound: Inbound
    vault: Vault
    broadcast: Broadcast
    writer: Writer
    model: OpenAIModel | None
    sender: Sender
    reach: Reach
    journal: Journal
    links: UnsubscribeLinks
    kinds: dict[str, MessageKind]
    keywords: dict[str, TenantKeywords]
    pipelines: list[DeliveryPipeline] = field(default_factory=list)
    activities: list[Activities] = field(default_factory=list)
    accounts: dict[str, Accounts] = field(default_factory=dict)
    enrol: dict[str, Enrol] = field(default_factory=dict)

    def settings_of(self, group: type[Group]) -> Group:
        """The settings of a group, as they are configured."""
        return group_of(self.settings, group)

    def pipeline(self, kind: MessageKind) -> DeliveryPipeline:
        """The way out for a kind of messages, which the whole application knows from now on."""
        self.kinds[kind.name] = kind
        made = DeliveryPipeline(
            kind,
            self.work,
            self.providers,
            self.rules,
            self.journal,
            self.links,
            deadline=self.settings.http_timeout,
            hold_unknown=self.settings.unknown_outcome == "hold",
            away_patience=self.settings.away_patience * 3600,
        )
        self.pipelines.append(made)
        return made


@dataclass(frozen=True)
class Feature:
    """One message system as the application sees it.

    Its folder has a module `feature` with `build(parts)`, and what is known before anything is built: `jobs.QUEUES`,
    `kind.KINDS` and, where it has any, a group of settings in `settings`.
    `service` is what other programs call, `parts` are what its routes may ask for besides. `handlers` say what its
    workers do with each kind of job; `schedules` are its recurring jobs; `keeps` says for how long it keeps what;
    `router` makes its HTTP endpoints, which workers do without. Features with tenants say whose an API key is
    (`holder_of_key`), and for which of them a provider calls back with a token
    (`tenant_of_callback`).
    """

    name: str
    service: Any
    handlers: tuple[AnyHandler, ...]
    router: Callable[[], APIRouter]
    schedules: tuple[Schedule[Any], ...] = ()
    keeps: tuple[Keeping, ...] = ()
    holder_of_key: HolderOfKey | None = None
    tenant_of_callback: TenantOfToken | None = None
    parts: tuple[Any, ...] = ()


def parse(model: type[Model], data: Model | Mapping[str, Any]) -> Model:
    """`data` as a validated `model`; fields that it does not have are mistakes.

    Raises InvalidInput, or InvalidFields with every mistake when there are several.
    """
    if isinstance(data, model):
        return data
    try:
        return model.model_validate(data, extra="forbid")
    except ValidationError as error:
        raise _unusable(error, model) from error


def parse_many(model: type[Model], items: Sequence[Model | Mapping[str, Any]], *, first: int = 0) -> list[Model]:
    """All the items as `parse` reads one; a field begins with its item's number, counted on from `first`."""
    try:
        return _list_of(model).validate_python(items, extra="forbid")
    except ValidationError as error:
        raise _unusable(error, list[model], first=first) from error  # type: ignore[valid-type]


@cache
def _list_of(model: type[Model]) -> TypeAdapter[list[Model]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def _unusable(error: ValidationError, kind: Any, *, first: int = 0) -> InvalidInput:
    """The mistakes of a validation; `first` is the number of the first item of a list."""
    mistakes, found = [], error.errors()
    for one in found[:MOST_TOLD]:
        path = list(one["loc"])
        message = validation.sentence(one, kind, path)
        if path and isinstance(path[0], int):
            path[0] += first
        mistakes.append(InvalidInput(validation.dotted([part for part in path if part != ""]), message))
    return mistakes[0] if len(found) == 1 else InvalidFields(mistakes, len(found))
