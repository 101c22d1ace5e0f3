"""What every provider takes, gives back and promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tidings.settings import CoreSettings, Group, group_of

if TYPE_CHECKING:
    from tidings.providers.http import HttpClient


class Account(Protocol):
    """An account at a provider, where not the installation's own is used. Each provider has its own class of them."""

    @property
    def key(self) -> str:
        """Names the account, and is no secret: each has a pace of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as a provider needs it.

    `to` is an E.164 phone number or a mail address. `metadata` holds the fields that the specifications
    put beside `phone` and `message` in a webhook's payload. `idempotency_key` is the same for every
    attempt at one message, so a provider that has seen it can drop the repetition. It goes through `account`,
    or through the installation's own. `patience` is how many seconds it may wait for its turn, where a provider takes
    few at once, before its time begins; None: as long as it takes. `unsubscribe` is the https address by which the
    reader of a promotional mail gets no more of them (RFC 8058). `name` is what we call it, as in event-message-8;
    reports may name it so.
    """

    to: str
    text: str
    idempotency_key: str
    subject: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    account: Account | None = None
    patience: float | None = None
    unsubscribe: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's word that it took a message; `provider_message_id` is its own id, if it gave one.

    `simulated`: there was no provider, and nobody gets the message.
    """

    provider: str
    provider_message_id: str | None = None
    simulated: bool = False


class Provider(Protocol):
    """Takes messages and hands them on. Its `name` stands in the ledger beside every attempt.

    A provider knows its own protocol, and no database and no queue. `drops_repetitions` says whether it does no
    harm to hand a message over again under the same idempotency key. Otherwise a message is not sent again after an
    attempt whose outcome is unknown.
    """

    name: str
    drops_repetitions: bool

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hands one message over.

        Raises SendError when the provider refuses, fails, or does not answer in time.
        """
        ...

    async def close(self) -> None:
        """Releases connections and files."""
        ...


@dataclass(frozen=True)
class ProviderParts:
    """What providers are opened with: the settings and the one outgoing HTTP client."""

    settings: CoreSettings
    http: HttpClient

    def settings_of(self, group: type[Group]) -> Group:
        """The settings of a group, as they are configured."""
        return group_of(self.settings, group)


class ProviderEntry(Protocol):
    """What a provider's module offers to the registry: `open_provider` and, where it has any, its settings.

    One that calls back about its messages also has `read_callback(fields)`, which says what a callback tells, and
    `callback_token(settings)`, the secret end of the installation's address for them: `messages/routes/callbacks`.
    """

    def open_provider(self, parts: ProviderParts) -> Mapping[str, Provider]:
        """The provider under each name by which messages find it; nothing while it is not set up.

        Raises ConfigurationError for settings that cannot work.
        """
        ...
