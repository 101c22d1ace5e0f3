"""Writes the differences between an event's plan and its stored messages in a few statements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from operator import itemgetter
from typing import Any

from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.db.batches import update_rows
from tidings.db.bulk_insert import PORTION, bulk_insert, reserve_ids
from tidings.features.events.kind import EventMessages
from tidings.features.events.models import EventMessage
from tidings.features.events.rules.plan import Planned
from tidings.features.events.rules.timing import is_past
from tidings.features.events.scheduled_messages import NewMessage, columns_of
from tidings.features.events.types import FACTS, priority_of
from tidings.messages.changes import cancel_many, cancel_where, decision
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit, Work

LOCK_CHUNK = 1000


@dataclass(slots=True)
class ScheduleResult:
    """What making the schedule changed, in messages. `skipped` were past when they were planned."""

    scheduled: int = 0
    moved: int = 0
    updated: int = 0
    cancelled: int = 0
    skipped: int = 0
    unchanged: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    def add(self, other: ScheduleResult) -> None:
        """Counts what another one has changed besides."""
        for name, count in other.as_dict().items():
            setattr(self, name, getattr(self, name) + count)


class Step(StrEnum):
    """What is done to a stored row, and as which of a ScheduleResult it counts."""

    UPDATE = "updated"
    MOVE = "moved"
    REVIVE = "scheduled"
    SKIP = "skipped"
    CANCEL = "cancelled"


def step_for(row: Row[Any], wanted: Planned | None, now: datetime, revivable: frozenset[Reason]) -> Step | None:
    """What is to be done to a row that stands for a wanted message, or that the plan does not ask for any more."""
    planned = row.status == Status.SCHEDULED and row.status_reason == Reason.PLANNED
    if wanted is None:
        return Step.CANCEL if planned else None
    past = is_past(wanted, now)
    if planned and row.scheduled_time != wanted.scheduled_time:
        return Step.SKIP if past else Step.MOVE
    if planned and row.personalization_data != dict(wanted.personalization_data):
        return Step.UPDATE
    if row.status in (Status.SKIPPED, Status.CANCELLED) and row.status_reason in revivable and not past:
        return Step.REVIVE
    return None


_ENDINGS = {
    Step.SKIP: (Status.SKIPPED, Reason.PAST),
    Step.CANCEL: (Status.CANCELLED, Reason.NO_LONGER_PLANNED),
}
_OUTCOMES = {Status.SKIPPED: Outcome.SKIPPED, Status.CANCELLED: Outcome.CANCELLED}


class Change:
    """The differences between plan and rows, gathered and then written in a few statements."""

    def __init__(self, unit: Unit, clock: Clock, event_id: int, *, revivable: frozenset[Reason]) -> None:
        self.result = ScheduleResult()
        self._unit = unit
        self._now = clock.now()
        self._event_id = event_id
        self._revivable = revivable
        self._new: list[Planned] = []
        self._late: list[Planned] = []
        self._steps: list[tuple[Step, Row[Any], Planned | None]] = []

    async def add(self, wanted: Planned) -> None:
        """A message that no row stands for yet."""
        (self._late if is_past(wanted, self._now) else self._new).append(wanted)
        if len(self._new) + len(self._late) == PORTION:
            await self._write_new()

    def adapt(self, row: Row[Any], wanted: Planned | None) -> None:
        """A row that stands for a message, None for one that is not asked for; the locked one may be a newer one."""
        step = step_for(row, wanted, self._now, self._revivable)
        if step is not None:
            self._steps.append((step, row, wanted))
        elif wanted is not None:
            self.result.unchanged += 1

    async def write(self) -> None:
        """Makes all the changes, but none to a row that a worker or a person took meanwhile."""
        rows = await _lock(self._unit.session, [seen.id for _, seen, _ in self._steps])
        changed: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        for step, seen, wanted in self._steps:
            row = rows.get(seen.id)
            if row is None or (row["status"], row["status_reason"]) != (seen.status, seen.status_reason):
                self.result.unchanged += 1
                continue
            setattr(self.result, step, getattr(self.result, step) + 1)
            changed.append(row | self._columns(step, wanted))
            if step in _ENDINGS:
                status, reason = _ENDINGS[step]
                self._unit.disarm(EventMessages.job_type_of(seen).queue.name, EventMessages.job_id(seen.id))
                lines.append(decision(EventMessages, seen, _OUTCOMES[status], reason, self._now))
            elif step is not Step.UPDATE:
                assert wanted is not None
                priority = priority_of(wanted.message_type)
                self._unit.arm(EventMessages.new_job(seen.id, wanted.scheduled_time, priority))
        changed.sort(key=itemgetter("id"))
        await update_rows(await self._unit.session.connection(), EventMessage, _CHANGED, changed)
        await write_lines(self._unit.session, lines)
        await self._write_new()

    def _columns(self, step: Step, wanted: Planned | None) -> dict[str, Any]:
        """What a step changes in a row."""
        columns: dict[str, Any] = {"updated_at": self._now}
        if wanted is not None:
            columns["scheduled_time"] = wanted.scheduled_time
            columns["personalization_data"] = dict(wanted.personalization_data)
        if step is not Step.UPDATE:
            columns["held_until"] = None
        if step is Step.REVIVE:
            columns |= {"status": Status.SCHEDULED, "status_reason": Reason.PLANNED}
            columns |= {"error_message": None, "attempts": 0}
        elif step in _ENDINGS:
            columns["status"], columns["status_reason"] = _ENDINGS[step]
        return columns

    async def _write_new(self) -> None:
        for row in await self._insert(self._new, Status.SCHEDULED, Reason.PLANNED):
            self._unit.arm(EventMessages.new_job(row.id, row.scheduled_time, priority_of(row.message_type)))
        late = await self._insert(self._late, Status.SKIPPED, Reason.PAST)
        lines = [decision(EventMessages, row, Outcome.SKIPPED, Reason.PAST, self._now) for row in late]
        await write_lines(self._unit.session, lines)
        self.result.scheduled += len(self._new)
        self.result.skipped += len(self._late)
        self._new, self._late = [], []

    async def _insert(self, planned: Sequence[Planned], status: Status, reason: Reason) -> list[NewMessage]:
        if not planned:
            return []
        session = self._unit.session
        ids = await reserve_ids(session, EventMessage, len(planned))
        rows = [_row_of(row_id, self._event_id, wanted) for row_id, wanted in zip(ids, planned, strict=True)]
        moments = {"created_at": self._now, "updated_at": self._now}
        same = {"status": status.value, "status_reason": reason.value, **moments}
        await bulk_insert(session, EventMessage, columns_of(rows), same)
        return rows


def _row_of(row_id: int, event_id: int, wanted: Planned) -> NewMessage:
    return NewMessage(
        id=row_id,
        event_id=event_id,
        contractor_id=wanted.contractor_id,
        message_type=wanted.message_type.value,
        message_category=FACTS[wanted.message_type].category.value,
        session_key=wanted.session_key,
        scheduled_time=wanted.scheduled_time,
        personalization_data=json.dumps(wanted.personalization_data),
    )


async def _lock(session: AsyncSession, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The rows as they are now, locked until the unit of work ends: nobody takes them meanwhile."""
    ordered, found = sorted(ids), dict[int, dict[str, Any]]()
    for start in range(0, len(ordered), LOCK_CHUNK):
        theirs = EventMessage.id.in_(ordered[start : start + LOCK_CHUNK])
        rows = await session.execute(_TO_CHANGE.where(theirs).order_by(EventMessage.id).with_for_update())
        found.update({row["id"]: dict(row) for row in rows.mappings()})
    return found


_CHANGED = (
    *("status", "status_reason", "error_message", "attempts", "held_until", "scheduled_time"),
    *("personalization_data", "updated_at"),
)
_TO_CHANGE = select(*(EventMessage.__table__.c[name] for name in ("id", *_CHANGED)))


async def clear(unit: Unit, reason: Reason, now: datetime, event_id: int, contractor_id: int) -> int:
    """Cancels the waiting messages of one person at an event; returns how many."""
    which = and_(EventMessage.event_id == event_id, EventMessage.contractor_id == contractor_id)
    return await cancel_where(unit, EventMessages, which, reason, now)


async def clear_event(work: Work, reason: Reason, event_id: int) -> int:
    """Cancels the waiting messages of everybody at an event, some after the other; returns how many."""
    return await cancel_many(work, EventMessages, EventMessage.event_id == event_id, reason)
