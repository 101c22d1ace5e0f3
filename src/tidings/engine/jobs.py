"""Typed job handles: a job is made and handled through its `JobType`, never by a string."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from tidings.engine.policy import QueuePolicy
from tidings.engine.slots import Slots

Data = TypeVar("Data", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Job:
    """One job to be added; it wakes whoever handles its kind, when it is due.

    `due` None means at once. `priority` follows BullMQ: 1 goes first, 0 goes before every priority.
    """

    queue: str
    name: str
    id: str | None
    data: Mapping[str, Any]
    due: datetime | None = None
    priority: int = 0


def new_job_id() -> str:
    """An id that no job ever had, not even before Redis was emptied, when BullMQ would count from 1 again."""
    return f"job-{secrets.token_hex(12)}"


def comes_again(job_id: str) -> bool:
    """Whether an id may be that of quite another job: one that BullMQ has counted, or that a schedule has made."""
    return job_id.isdecimal() or job_id.startswith("repeat:")


@dataclass(frozen=True)
class JobType(Generic[Data]):
    """A kind of job: its queue, its name in Redis, the model of its data and the rule for its id.

    With a deterministic id, adding the job twice is harmless. Without one each job gets an id of its own, which never
    comes again.
    """

    queue: QueuePolicy
    name: str
    model: type[Data]
    job_id: Callable[[Data], str] | None = None

    def job(self, data: Data, *, due: datetime | None = None, priority: int = 0) -> Job:
        """The job for `data`, to be handed to a unit of work."""
        return Job(
            queue=self.queue.name,
            name=self.name,
            id=self.job_id(data) if self.job_id else None,
            data=data.model_dump(mode="json"),
            due=due,
            priority=priority,
        )

    def id_of(self, data: Data) -> str:
        """The deterministic id; raises TypeError for a kind of job that has none."""
        if self.job_id is None:
            raise TypeError(f"jobs named {self.name!r} have no deterministic id")
        return self.job_id(data)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a job: the `attempt`, counted from 1, of `attempts` that it may have.

    `queue` is the policy of the queue that it runs in, `slots` what a handler keeps to that prepares jobs ahead,
    `priority` is as in `Job`.
    """

    job_id: str
    attempt: int
    attempts: int
    request_id: str
    queue: QueuePolicy
    slots: Slots = field(default_factory=lambda: Slots(1))
    priority: int = 0

    @property
    def last(self) -> bool:
        """Whether BullMQ gives up after this attempt."""
        return self.attempt >= self.attempts


@dataclass(frozen=True)
class Handler(Generic[Data]):
    """What a worker does with one kind of job. It may raise PostponeJob or GiveUpJob; other errors retry."""

    job_type: JobType[Data]
    handle: Callable[[Data, Run], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class HeldJob(Generic[Data]):
    """A job in the hands of a batch handler, until `end` is called with what came of it.

    That is its result, as JSON, or an exception: PostponeJob, GiveUpJob, or an error after which it is tried again.
    """

    data: Data
    run: Run
    end: Callable[[object], None]


@dataclass(frozen=True)
class BatchHandler(Generic[Data]):
    """What a worker does with jobs of one kind that it gets many at a time.

    It is given more jobs than the queue's concurrency, and does within `run.slots` what is limited. Jobs may end
    after it has returned; when it raises, the error is what comes of those that have not.
    """

    job_type: JobType[Data]
    handle: Callable[[Sequence[HeldJob[Data]]], Awaitable[None]]


async def handle_alone(handle: Callable[[Sequence[HeldJob[Data]]], Awaitable[None]], data: Data, run: Run) -> object:
    """What a batch handler makes of one job: its result, or what it ends with is raised."""
    ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def end(answer: object) -> None:
        if ended.done():
            return
        if isinstance(answer, Exception):
            ended.set_exception(answer)
        else:
            ended.set_result(answer)

    await handle([HeldJob(data, run, end)])
    return await ended


AnyHandler = Handler[Any] | BatchHandler[Any]


@dataclass(frozen=True)
class Schedule(Generic[Data]):
    """A job that comes round every `seconds`, by a BullMQ job scheduler named `id`.

    With `cron`, five fields in UTC such as ``0 * * * *`` for each full hour, it comes round on those minutes
    instead. Then `seconds` is how far they are apart; a clock that does not show the machine's time goes by it.
    """

    id: str
    job_type: JobType[Data]
    data: Data
    seconds: float
    cron: str | None = None


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that has failed for good: after its last attempt, or because another one would not help.

    `attempts` counts the last one too, `failed_at` is UTC, `priority` as in `Job`.
    """

    queue: str
    name: str
    job_id: str
    data: Any
    error: str
    attempts: int
    failed_at: datetime
    request_id: str
    priority: int = 0


class PostponeJob(Exception):
    """Raised by a handler: run this job again at `until`; it costs no attempt.

    `unused`: nothing came of it that a rate limit is for, so it does not count in the limit of its queue either.
    """

    def __init__(self, until: datetime, *, unused: bool = False) -> None:
        super().__init__(f"postponed until {until.isoformat()}")
        self.until = until
        self.unused = unused


class GiveUpJob(Exception):
    """Raised by a handler: the job has failed for good; further attempts would not help."""
