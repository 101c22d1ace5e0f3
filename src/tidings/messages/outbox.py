"""What a feature tells the road out about its messages: where the rows are, how to load and to compose them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import BigId
from tidings.engine.jobs import Job
from tidings.engine.policy import QueuePolicy
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

    `address` is the phone number or mail address, None when nobody knows it. After `not_after` the
    message is of no use and is skipped; `obsolete` is the feature's own reason to skip it now. `row` is
    what the feature composes from.
    """

    id: int
    contact_id: int
    scheduled_time: datetime
    attempt: int
    channel: str
    address: str | None
    idempotency_key: str
    row: Mapping[str, Any]
    not_after: datetime | None = None
    obsolete: Reason | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a feature wants said; `metadata` travels in a webhook's payload beside phone and message."""

    text: str
    subject: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outbox:
    """How one feature's messages leave.

    `kind` names its messages in the ledger. `alarm` is the job that wakes a row at its time. `load` returns
    the letters of rows just claimed; `compose` writes one letter's text and may raise TemplateError;
    `when_sent` gives the columns that the feature sets beside the status when a letter went out at a moment.
    """

    kind: str
    queue: QueuePolicy
    model: type[Any]
    alarm: Callable[[Any], Job]
    load: Callable[[AsyncConnection, Sequence[int]], Awaitable[Sequence[Letter]]]
    compose: Callable[[Letter], Content]
    when_sent: Callable[[Letter, datetime], Mapping[str, Any]]


def alarm_time(row: Any) -> datetime:
    """When an open row's job is due: its time, or the end of its hold when that is later."""
    scheduled: datetime = row.scheduled_time
    held: datetime | None = row.held_until
    return scheduled if held is None else max(scheduled, held)
