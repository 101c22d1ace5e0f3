"""What a kind of message is: where its rows are, how one is loaded and composed, what answers and endings mean."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, String, Text, literal_column, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.ai.base import Draft
from tidings.db.base import BigId
from tidings.engine.jobs import Job, JobType
from tidings.engine.policy import QueuePolicy
from tidings.errors import InvalidInput, SendError
from tidings.messages.gate.terms import TRANSACTIONAL, Terms
from tidings.messages.inbound.keywords import Command
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import Reason, Status
from tidings.messages.tenants import INSTALLATION
from tidings.providers.base import Account
from tidings.work import Unit, Work


class StatusText(String):
    """A status. A condition on it has its values written into the SQL, where the database's planner sees them.

    An index over some statuses only is of use to no statement that says them by parameters.
    """

    class Comparator(String.Comparator[str]):
        def operate(self, op: Any, *others: Any, **options: Any) -> Any:
            return super().operate(op, *(_written_out(other) for other in others), **options)

    comparator_factory = Comparator


def _written_out(value: Any) -> Any:
    if isinstance(value, str):
        return _literal(str(value))
    return [_written_out(one) for one in value] if isinstance(value, Collection) else value


@lru_cache(maxsize=64)
def _literal(status: str) -> Any:
    return literal_column(f"'{status}'", String()) if status.isidentifier() else status


def only(condition: str) -> dict[str, Any]:
    """What makes an index hold only those rows for which the condition is true, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


OPEN_ROWS = only("status IN ('scheduled', 'sending')")
"""An index on `scheduled_time, id` of these is how every kind's open messages are found; ended ones are not in it."""

WAITING_ROWS = only("status = 'waiting'")


class MessageColumns:
    """The columns that every kind's table has.

    `held_until` is when the row may be taken next: the end of the lease of the worker that is sending it,
    or the moment a provider asked us to wait for. `attempts` counts takings, crashed ones included, but not
    those that ended in a wait somebody asked for.
    `status_reason` is a Reason: why the row has its status.
    """

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    scheduled_time: Mapped[datetime]
    status: Mapped[str] = mapped_column(StatusText(16), default=Status.SCHEDULED)
    status_reason: Mapped[str | None] = mapped_column(String(32), default=None)
    error_message: Mapped[str | None] = mapped_column(Text, default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    held_until: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


_ID_FIELDS = (
    *("id", "messageId", "message_id", "eventMessageId", "event_message_id"),
    *("followupId", "followUpId", "followup_id", "follow_up_id", "webhookEventId", "webhook_event_id"),
)


class MessageJob(BaseModel):
    """Data of the job that wakes one message: its row's id."""

    id: int


def message_job(queue: QueuePolicy, name: str, kind: str) -> JobType[MessageJob]:
    """The job that wakes messages of a kind; its id is the message's name, as in `event-message-123`."""
    return JobType(queue, name, MessageJob, lambda data: f"{kind}-{data.id}", adopt_message)


def adopt_message(name: str, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Another program's job that names a message's row as the specifications do: messageId, followup_id and so on."""
    found = next((data[field] for field in _ID_FIELDS if data.get(field) is not None), None)
    return None if found is None else {"id": found}


@dataclass(frozen=True, slots=True)
class Message:
    """One message with everything that deciding, composing and sending need.

    `contact_id` is None for a number that nobody knows. `address` is the phone number or mail address, None when
    there is none. `terms` are what the gate goes by, `timezone` (IANA) is the contact's own if it is known.
    `elsewhere` says that the address is not the contact's own but was named for this message. `tenant` is who writes:
    its rules are kept, consent is given to it, and caps count within it. After `not_after` the message is of no use
    and is skipped; `obsolete` is its kind's own reason to skip it now. `row` is what the kind composes from. It
    leaves through the provider of its `channel`, unless it names a `provider`; `account` is whose there, where it is
    not the installation's. `undeliverable` says in a sentence what has to change before it can be handed over at all.
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
    tenant: str = INSTALLATION
    elsewhere: bool = False
    not_after: datetime | None = None
    obsolete: Reason | None = None
    provider: str | None = None
    account: Account | None = None
    undeliverable: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be said; `metadata` travels in a webhook's payload beside phone and message.

    `draft` is who wrote the text, when a writer did.
    """

    text: str
    subject: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A message that came to its end: sent, failed, skipped or maybe sent (unknown), and for skipped ones why.

    `refusal` is what its provider said who did not take it.
    """

    message: Message
    status: Status
    reason: Reason | None
    refusal: SendError | None = None


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


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider said about a message that it took. `at` is UTC; `error` says why it was not delivered."""

    status: DeliveryStatus
    at: datetime
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Addressee:
    """A person as messages know them: by the ids of their entries, and by every way to write their addresses."""

    ids: Sequence[int]
    addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class RowChange:
    """Columns of a row as they were and as they are now."""

    table: str
    row_id: int
    before: Mapping[str, Any]
    after: Mapping[str, Any]


class MessageKind:
    """A kind of message. A feature subclasses it, says what the first block asks, and overrides what it has to add.

    `name` stands in the ledger; with an id it is the message's name and its job's id, as in `event-message-123`.
    `noun` is what people call one. `model` is its table, `job_type` the job that wakes a row at its time.
    """

    name: ClassVar[str]
    noun: ClassVar[str] = "message"
    model: ClassVar[type[Any]]
    job_type: ClassVar[JobType[Any]]

    loaded: ClassVar[Select[Any]]
    """The table joined with all that its messages are made of; its `id` is among the columns."""

    unfollowed: ClassVar[str | None] = None
    """Which ended rows lack what follows from their ends: a condition in SQL, which a partial index holds exactly.

    Recovery has `on_ended` make good for them. None: nothing follows, or something else makes good what was lost.
    """

    compose_seconds: float = 0.0
    """Seconds that `compose` may take."""

    def message(self, row: Mapping[str, Any]) -> Message:
        """The message of one row of `loaded`."""
        raise NotImplementedError

    async def load(self, connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> Sequence[Message]:
        """The messages of rows (of `loaded`) that were just claimed, in the claim's transaction."""
        return [self.message(row) for row in rows]

    async def compose(self, message: Message) -> Content:
        """One message's text. May raise TemplateError, which ends the message as failed."""
        raise NotImplementedError

    # The job that wakes a row

    @classmethod
    def job(cls, row: Any) -> Job:
        """The job that wakes a row; `row` has its id, its times and what `job_type_of` and `priority` look at."""
        return wake(cls.job_type_of(row), row, data=cls.job_data(row), priority=cls.priority(row))

    @classmethod
    def new_job(cls, message_id: int, due: datetime, priority: int = 0) -> Job:
        """The same for a row that was just added and is not loaded, of a kind whose jobs are all alike."""
        job_type = cls.job_type
        return Job(job_type.queue.name, job_type.name, cls.job_id(message_id), {"id": message_id}, due, priority)

    @classmethod
    def job_id(cls, message_id: int) -> str:
        """`event-message-123`: the message's name, and the id of its job in whatever queue."""
        return f"{cls.name}-{message_id}"

    @classmethod
    def job_type_of(cls, row: Any) -> JobType[Any]:
        """The job that a row is woken by next, where a kind's messages pass through several queues."""
        return cls.job_type

    @classmethod
    def job_types(cls) -> tuple[JobType[Any], ...]:
        """Every job that sends messages of this kind."""
        return (cls.job_type,)

    @classmethod
    def job_data(cls, row: Any) -> BaseModel | None:
        """What the job carries beside the row's id: a model with an `id`, None for a `MessageJob`."""
        return None

    @classmethod
    def priority(cls, row: Any) -> int:
        """BullMQ's priority of a row's job: 1 goes first, 0 before every priority."""
        return 0

    @classmethod
    def idempotency_key(cls, message_id: int, created_at: datetime) -> str:
        """The same for every attempt at a message, and different in a database that counts from 1 again."""
        return idempotency_key(cls.name, message_id, created_at)

    @classmethod
    def contact_of(cls, row: Any) -> int | None:
        """The contact to whom a row is written; None where rows do not know one."""
        found: int | None = getattr(row, "contractor_id", None)
        return found

    @classmethod
    def tenant_of(cls, row: Any) -> str | None:
        """Whose message a row is; None where rows do not know it."""
        return INSTALLATION

    @classmethod
    async def timezones(cls, session: AsyncSession, row: Any) -> tuple[str | None, str | None]:
        """The timezones (IANA names) of the event that a row is about and of the tenant whose it is.

        Where neither its recipient nor their number tells a zone, these do. None: there is none, or the default.
        """
        return None, None

    @classmethod
    def sequel(cls, row: Any) -> str | None:
        """What came after an ended row, in a sentence for whoever asks why; None when nothing does."""
        return None

    # Of whom its messages are

    @classmethod
    def written_to(cls, whom: Addressee) -> ColumnElement[bool] | None:
        """Which rows are written to a person; None for a kind that writes to nobody."""
        return cls.model.contractor_id.in_(whom.ids) if hasattr(cls.model, "contractor_id") else None

    @classmethod
    def heard_from(cls, whom: Addressee) -> Select[int, datetime, str] | None:
        """What a person wrote that stands in the kind's own table: ids, moments and texts; None: nothing does."""
        return None

    @classmethod
    def events_named(cls, name: str) -> Select[int] | None:
        """The ids of the events with this id or short name, where the kind's messages are about events."""
        return None

    @classmethod
    async def why_none(cls, session: AsyncSession, contact_id: int, event_id: int) -> str | None:
        """Why a person gets nothing about an event, in a sentence, as far as this kind can tell."""
        return None

    @classmethod
    def about(cls, row: Any) -> str:
        """What a row is, in a word or two, for whoever sees it among others."""
        return str(getattr(row, "message_type", cls.noun)).replace("_", " ")

    @classmethod
    def says(cls, row: Any) -> Hashable | None:
        """What an open row is to say, so that somebody who has two that say the same gets one; None: it is unique."""
        return None

    called_off: ClassVar[Mapping[str, Any]] = {}
    """The columns that change beside the status when a row is called off for good."""

    @classmethod
    async def contacts_merged(
        cls, session: AsyncSession, kept_id: int, merged_id: int, now: datetime
    ) -> Sequence[RowChange]:
        """Makes one of what it keeps once a person, after `contacts_changing`; what it changed, to be undone."""
        return ()

    personal: ClassVar[Mapping[str, Any]] = {}
    """The columns of a row that say something of its person, and what stands there when the person is erased."""

    of_another: ClassVar[bool] = False
    """Whether a tenant answers for the data itself, so that they are only erased with the rest when asked."""

    @classmethod
    async def erase_person(cls, work: Work, whom: Addressee) -> Mapping[str, int]:
        """Erases what the feature knows of a person besides messages; how many rows of which table."""
        return {}

    @classmethod
    async def contacts_changing(cls, session: AsyncSession, contact_ids: Collection[int], now: datetime) -> None:
        """Locks and marks what is planned from people who are about to be changed, before they are locked."""

    # What happens to a message

    @classmethod
    def columns_when_claimed(cls) -> Mapping[str, Any]:
        """The columns that a claim sets beside its own, as values or expressions."""
        return {}

    def columns_when_sent(self, message: Message, content: Content, moment: datetime) -> Mapping[str, Any]:
        """The columns that are set beside the status when a message went out, with this content and then (UTC)."""
        return {"sent_at": moment}

    async def on_ended(self, connection: AsyncConnection, ended: Sequence[Ended]) -> Sequence[Job]:
        """What follows from endings, in the transaction that records them; returns the jobs to arm after its commit.

        It may run twice for one message. A mistake in it is logged and does not undo the endings: what it writes has
        to be made good, by `unfollowed` or by something that its docstring names.
        """
        return ()

    async def on_refused(self, connection: AsyncConnection, message: Message, error: SendError) -> Sequence[Job]:
        """What follows from a provider's refusal, final or not, in the transaction that records it; as `on_ended`.

        What is lost of it is not told again.
        """
        return ()

    async def on_reply(self, session: AsyncSession, message_id: int, reply: Reply) -> str | None:
        """Stores a reply with the message that it answers, in the transaction that stores the reply.

        It may say what was done (`action_taken`).
        """
        return None

    async def on_report(self, unit: Unit, message_id: int, report: Report) -> bool:
        """Notes a provider's report with the row, in the unit that takes the report; whether it was news to the row.

        Kinds whose rows have no delivery status leave it to the ledger.
        """
        return False

    async def expects_rating(self, session: AsyncSession, ids: Sequence[int]) -> Collection[int]:
        """Which of the given messages ask for a rating and have none yet."""
        return ()


def follows(kind: MessageKind) -> bool:
    """Whether anything follows from the endings and refusals of this kind's messages."""
    own = (getattr(one, "__func__", one) for one in (kind.on_ended, kind.on_refused))
    return any(one not in (MessageKind.on_ended, MessageKind.on_refused) for one in own)


Kinds = Mapping[str, MessageKind]
"""Every kind of message of an application, by name."""


def wake(job_type: JobType[Any], row: Any, *, data: BaseModel | None = None, priority: int = 0) -> Job:
    """The job of this type that wakes a row at its time. Most ask `MessageKind.job`, which knows the type."""
    return job_type.job(data or MessageJob(id=row.id), due=due_time(row), priority=priority)


def idempotency_key(kind: str, message_id: int, created_at: datetime) -> str:
    """The key of a message of this kind; see `MessageKind.idempotency_key`."""
    return f"{kind}-{message_id}-{int(created_at.timestamp() * 1_000_000)}"


def due_time(row: Any) -> datetime:
    """When an open row's job is due: its time, or the end of its hold when that is later."""
    scheduled: datetime = row.scheduled_time
    held: datetime | None = row.held_until
    return scheduled if held is None else max(scheduled, held)


def parse_name(name: str) -> tuple[str, int] | None:
    """`event-message-123` as kind and id; None for anything else."""
    kind, _, number = name.rpartition("-")
    if not kind or not (number.isascii() and number.isdecimal()) or len(number) > 18:
        return None
    return kind, int(number)


def require_name(name: str) -> tuple[str, int]:
    """The same; raises InvalidInput for anything else."""
    found = parse_name(name)
    if found is None:
        raise InvalidInput("message", f"{name!r} is not a message's name; write one like event-message-123")
    return found
