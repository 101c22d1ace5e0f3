"""What every provider adapter takes, gives back and promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as a provider needs it.

    `to` is an E.164 phone number or a mail address. `metadata` holds the fields that the specifications
    put beside `phone` and `message` in a webhook's payload. `idempotency_key` is the same for every
    attempt at one message, so a provider that has seen it can drop the repetition.
    """

    to: str
    text: str
    idempotency_key: str
    subject: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's word that it took a message; `provider_message_id` is its own id, if it gave one."""

    provider: str
    provider_message_id: str | None = None


class Channel(Protocol):
    """A provider. Its `name` stands in the ledger beside every attempt."""

    name: str

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hands one message over.

        Raises SendError when the provider refuses, fails, or does not answer in time.
        """
        ...

    async def close(self) -> None:
        """Releases connections and files."""
        ...
