"""The features and the providers of Tidings: a new one is its own folder or file, and its line here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from pydantic import AliasChoices, ValidationError

from tidings.errors import ConfigurationError
from tidings.misspelt import find_misspelt
from tidings.settings import PREFIX, CoreSettings, SettingsGroup, environment
from tidings.validation import nearest

if TYPE_CHECKING:
    from tidings.engine.policy import QueuePolicy
    from tidings.feature import Feature, Parts
    from tidings.features.chat.service import Chat
    from tidings.features.events.service import Events
    from tidings.features.followups.service import FollowUps
    from tidings.features.proactive.service import Proactive
    from tidings.features.shops.service import Shops
    from tidings.messages.kind import MessageKind
    from tidings.providers.base import ProviderEntry

Service = TypeVar("Service")

PROVIDERS = (
    "n8n",
    "mitto",
    "smtp.send",
    "whatsapp_cloud.send",
    "whatsapp_qr",
    "webhooks.send",
)
"""Every provider, by its module. Where several serve a channel, the first one that is set up gets its messages."""


class ServiceOf(Generic[Service]):
    """A feature: what it is called, and as an attribute of an application the service that it gives to others."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type[Features], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, holder: None, owner: type[Features]) -> Self: ...

    @overload
    def __get__(self, holder: Features, owner: type[Features]) -> Service: ...

    def __get__(self, holder: Features | None, owner: type[Features]) -> Self | Service:
        if holder is None:
            return self
        service: Service = holder.service_of(self.name)
        return service


class Features:
    """Every feature, by the name of its folder, in the order in which they are built.

    Nothing of a feature is loaded before it is asked for.
    """

    events: ServiceOf[Events] = ServiceOf("Event messages.")
    followups: ServiceOf[FollowUps] = ServiceOf("CRM follow-ups.")
    proactive: ServiceOf[Proactive] = ServiceOf("Proactive messages.")
    shops: ServiceOf[Shops] = ServiceOf("Shops: automations and campaigns.")
    chat: ServiceOf[Chat] = ServiceOf("Chats, and customers' webhooks.")

    def service_of(self, name: str) -> Any:
        """The service of the feature with this name."""
        raise NotImplementedError


NAMES = tuple(name for name, found in vars(Features).items() if isinstance(found, ServiceOf))


def feature_module(name: str, part: str) -> Any:
    """One of the modules that every feature has in its folder."""
    return import_module(f"tidings.features.{name}.{part}")


def build(name: str, parts: Parts) -> Feature:
    """The feature with this name, put together from the parts of an application."""
    feature: Feature = feature_module(name, "feature").build(parts)
    return feature


def feature_queues() -> tuple[QueuePolicy, ...]:
    """Every queue of every feature, as it is declared."""
    return tuple(queue for name in NAMES for queue in feature_module(name, "jobs").QUEUES)


def feature_kinds() -> Iterator[type[MessageKind]]:
    """Every kind of message of every feature."""
    for name in NAMES:
        yield from feature_module(name, "kind").KINDS


def provider_entries() -> list[ProviderEntry]:
    """The module of every provider."""
    return [_provider(name) for name in PROVIDERS]


def callback_providers() -> dict[str, Any]:
    """The modules of the providers that call back, by the names in their addresses."""
    return {name: module for name in PROVIDERS if hasattr(module := _provider(name), "read_callback")}


def _provider(name: str) -> Any:
    return import_module(f"tidings.providers.{name}")


def _groups() -> Iterator[type[SettingsGroup]]:
    """The group of settings of every provider and feature that has one, the last one first, as bases of one class."""
    features = [name for name in NAMES if find_spec(f"tidings.features.{name}.settings")]
    for module in (
        *(feature_module(name, "settings") for name in reversed(features)),
        *(_provider(name) for name in reversed(PROVIDERS)),
    ):
        for found in vars(module).values():
            if isinstance(found, type) and issubclass(found, SettingsGroup) and found.__module__ == module.__name__:
                yield found


if TYPE_CHECKING:
    Settings = CoreSettings
else:

    class Settings(*_groups(), CoreSettings):
        """All settings of one process: the groups of every provider and feature that has any, and those of all."""


def load(**overrides: Any) -> Settings:
    """Reads the settings; `overrides` win over the environment.

    Raises ConfigurationError with a sentence a variable that holds something unusable, and for an override that is
    no setting.
    """
    names = [*Settings.model_fields, *_variables()]
    if unknown := [name for name in overrides if name not in names and not name.startswith("_")]:
        raise ConfigurationError("; ".join(_no_setting(name, nearest(name, tuple(names))) for name in unknown))
    try:
        return Settings(**overrides)
    except ValidationError as error:
        wrong = [f"{_variable(str(e['loc'][0]))}: {_sentence(e)}" for e in error.errors(include_input=False)]
        wrong += look_at_variables(environment(), declared_queues())[0]
        raise unusable(wrong) from None  # pydantic's error shows values


def unusable(sentences: Sequence[str]) -> ConfigurationError:
    """The error of settings that cannot be used, which tells all of them at once."""
    told = "; ".join(sentences)
    return ConfigurationError(f"The settings cannot be used: {told}{'' if told.endswith(('?', '.')) else '.'}")


def variables_of(name: str) -> list[str]:
    """The environment's names of the setting `name`; of several that are set the first counts."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias) if alias else f"{PREFIX}{name.upper()}"]


def declared_queues() -> tuple[QueuePolicy, ...]:
    """Every queue, as it is declared."""
    from tidings.messages.inbound.notices import NOTICES
    from tidings.messages.retention import RETENTION

    return (NOTICES, RETENTION, *feature_queues())


def look_at_variables(environment: Mapping[str, str], queues: Iterable[QueuePolicy]) -> tuple[list[str], list[str]]:
    """Sentences about what stops a start, and about what is only told.

    They are about variables that are misspelt, and those of queues that hold something unusable.
    """
    queues = list(queues)
    settings = _variables()
    names = [*settings, *(name for queue in queues for name in queue.variables)]
    unread = {
        name: value for name, value in environment.items() if name not in names and name.upper() not in settings
    }
    wrong, near = find_misspelt(unread, names, environment.keys(), PREFIX)
    sentences = [_no_setting(f"The variable {name}", meant) for name, meant in wrong.items()]
    for queue in queues:
        for name in queue.variables:
            try:
                queue.configured({name: environment.get(name, "")})
            except ConfigurationError as error:
                sentences.append(str(error).rstrip("."))
    return sentences, [_no_setting(f"The variable {name}", meant) for name, meant in near.items()]


def _variables() -> list[str]:
    """Every variable that is read for a setting: those of `variables_of`, and TIDINGS_ and its name for each."""
    names = Settings.model_fields
    told = [variable for name in names for variable in variables_of(name)]
    return [*told, *(other for name in names if (other := f"{PREFIX}{name.upper()}") not in told)]


def _no_setting(name: str, near: str | None) -> str:
    return f"{name} is no setting{f'; did you mean {near}?' if near else ''}"


def _sentence(error: Mapping[str, Any]) -> str:
    message = re.sub(r"^Value error, ", "", error["msg"])
    return re.sub(r"^(Input|String|Value) should ", "must ", message)


def _variable(place: str) -> str:
    return variables_of(place)[0] if place in Settings.model_fields else place
