"""A reply as a provider tells it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tidings.messages.inbound.keywords import Command
from tidings.messages.tenants import INSTALLATION


@dataclass(frozen=True, slots=True)
class IncomingReply:
    """A reply as a provider tells it.

    `provider_message_id` is the provider's id of the reply itself, `in_reply_to` its id of the message that
    was answered, when it knows. `received_at` is UTC. `channel` is None where the sender's address says it: a phone
    number is an SMS. `tenant` is whose door it came in by, by the secret that was shown; None: a shared one, through
    which the messages of every tenant leave that has no account of its own. `account` tells a tenant's doors apart.
    With `answered` a feature says itself what was done about STOP, START and HELP.
    """

    provider: str
    provider_message_id: str
    sender: str
    text: str
    received_at: datetime | None = None
    in_reply_to: str | None = None
    channel: str | None = None
    tenant: str | None = None
    account: str | None = None
    answered: bool = False

    @property
    def door(self) -> str:
        """`n8n`, `mitto:shop:3`: by what it came in."""
        return ":".join(part for part in (self.provider, self.tenant, self.account) if part)


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a reply. `message` is the one that it answers (`event-message-123`), if there is one.

    `tenant` is whom it was written to; `unsure` says that it may have meant STOP, and a person is asked.
    """

    id: int
    duplicate: bool
    action_taken: str
    command: Command | None
    contact_id: int | None
    message: str | None
    rating: int | None
    sentiment_score: float | None
    tenant: str = INSTALLATION
    unsure: bool = False
