"""What a feature tells the road out about its messages: where the rows are, how to load and to compose them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.ai.base import Draft
from tidings.db.base import BigId
from tidings.engine.jobs import Job
from tidings.engine.policy import QueuePolicy
from tidings.messages.gate.terms import TRANSACTIONAL, Terms
from tidings.messages.inbound.keywords import Command
from tidings.messages.statuses import Reason, Status


class OutboxColumns:
    """The columns that the road out keeps in every feature's message table.

    `held_until` is when the row may be taken next: the end of the lease of the worker that is sending it,
    or the moment a provider asked us to wait for. `attempts` counts takings, crashed ones included, but not
    those that ended in a wait somebody asked for.
    `status_reason` is a Reason: why the row has its status.
    """

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    scheduled_time: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(16), default=Status.SCHEDULED)
    status_reason: Mapped[str | None] = mapped_column(String(32), default=None)
    error_message: Mapped[str | None] = mapped_column(Text, default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    held_until: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Letter:
    """One claimed message with everything that deciding and composing need.

    `contact_id` is None for a number that nobody knows. `address` is the phone number or mail address, None
    when there is none. `terms` are what the gate goes by, `timezone` (IANA) is the contact's own if it is
    known, and `tenant_timezone` that of the shop that writes, if it is a shop. Consent is given to a `scope`,
    and caps count within it: empty for this installation, a shop's own otherwise. After `not_after` the
    message is of no use and is skipped; `obsolete` is the feature's own reason to skip it now. `row` is what
    the feature composes from. `sender` names the provider of a shop that has one of its own; the others go
    through that of their channel.
    """

    id: int
    contact_id: int | None
    scheduled_time: datetime
    attempt: int
    channel: str
    address: str | None
    idempotency_key: str
    row: Mapping[str, Any]
    terms: Terms = TRANSACTIONAL
    timezone: str | None = None
    tenant_timezone: str | None = None
    scope: str = ""
    not_after: datetime | None = None
    obsolete: Reason | None = None
    sender: str | None = None

    @property
    def way(self) -> str:
        """The name under which its provider is found."""
        return self.sender or self.channel


@dataclass(frozen=True, slots=True)
class Content:
    """What a feature wants said; `metadata` travels in a webhook's payload beside phone and message.

    `draft` is who wrote the text, when a writer did.
    """

    text: str
    subject: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A letter that came to its end: sent, failed or skipped, and for skipped ones why."""

    letter: Letter
    status: Status
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody answered. `sentiment_score` is -1 to 1; `rating` is 1 to 10 when the text is one.

    `command` is STOP, START or HELP; then it is carried out already and no opinion. `action_taken` is what
    was done about the reply so far.
    """

    text: str
    received_at: datetime
    sentiment_score: float
    rating: int | None
    command: Command | None
    action_taken: str = "reply_recorded"


async def _nothing_follows(connection: AsyncConnection, conclusions: Sequence[Conclusion]) -> Sequence[Job]:
    return ()


async def _nobody_listens(session: AsyncSession, message_id: int, reply: Reply) -> str | None:
    return None


async def _none_asks(session: AsyncSession, ids: Sequence[int]) -> Collection[int]:
    return ()


@dataclass(frozen=True)
class Outbox:
    """How one feature's messages leave, and what their answers and endings mean to it.

    - `kind` names its messages in the ledger; with an id it is the job's id, as in `event-message-123`.
    - `alarm` is the job that wakes a row at its time.
    - `load` returns the letters of rows just claimed.
    - `compose` writes one letter's text, within `compose_seconds`; it may raise TemplateError.
    - `when_sent` gives the columns that the feature sets beside the status when a letter went out, with this
      content and at this moment.
    - `conclude` runs in the transaction that records endings, and returns the jobs to arm after its commit.
      It may run twice for one letter.
    - `on_reply` stores a reply with the message that it answers, in the transaction that stores the reply; it
      may say what was done (`action_taken`).
    - `expects_rating` says which of the given messages ask for a rating and have none yet.
    """

    kind: str
    queue: QueuePolicy
    model: type[Any]
    alarm: Callable[[Any], Job]
    load: Callable[[AsyncConnection, Sequence[int]], Awaitable[Sequence[Letter]]]
    compose: Callable[[Letter], Awaitable[Content]]
    when_sent: Callable[[Letter, Content, datetime], Mapping[str, Any]]
    compose_seconds: float = 0.0
    conclude: Callable[[AsyncConnection, Sequence[Conclusion]], Awaitable[Sequence[Job]]] = _nothing_follows
    on_reply: Callable[[AsyncSession, int, Reply], Awaitable[str | None]] = _nobody_listens
    expects_rating: Callable[[AsyncSession, Sequence[int]], Awaitable[Collection[int]]] = _none_asks


def alarm_time(row: Any) -> datetime:
    """When an open row's job is due: its time, or the end of its hold when that is later."""
    scheduled: datetime = row.scheduled_time
    held: datetime | None = row.held_until
    return scheduled if held is None else max(scheduled, held)
