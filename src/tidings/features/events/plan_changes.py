"""Writes the differences between an event's plan and its stored messages in a few statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.features.events.kind import EventMessages
from tidings.features.events.models import EventMessage
from tidings.features.events.rules.plan import Planned
from tidings.features.events.rules.timing import is_past
from tidings.features.events.types import FACTS
from tidings.messages.changes import cancel_where, decision, end, release, revive
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit

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


class _Step(StrEnum):
    """What is done to a stored row, and as which of a ScheduleResult it counts."""

    UPDATE = "updated"
    MOVE = "moved"
    REVIVE = "scheduled"
    SKIP = "skipped"
    CANCEL = "cancelled"


class Change:
    """The differences between plan and rows, gathered and then written in a few statements."""

    def __init__(self, unit: Unit, clock: Clock, event_id: int, *, revivable: frozenset[Reason]) -> None:
        self.result = ScheduleResult()
        self._unit = unit
        self._now = clock.now()
        self._event_id = event_id
        self._revivable = revivable
        self._new: list[dict[str, Any]] = []
        self._steps: list[tuple[_Step, EventMessage, Planned | None]] = []

    def add(self, wanted: Planned) -> None:
        """A message that no row stands for yet."""
        past = is_past(wanted, self._now)
        self._new.append(
            {
                "event_id": self._event_id,
                "contractor_id": wanted.contractor_id,
                "message_type": wanted.message_type,
                "message_category": FACTS[wanted.message_type].category,
                "session_key": wanted.session_key,
                "scheduled_time": wanted.scheduled_time,
                "status": Status.SKIPPED if past else Status.SCHEDULED,
                "status_reason": Reason.PAST if past else Reason.PLANNED,
                "personalization_data": dict(wanted.personalization_data),
                "created_at": self._now,
                "updated_at": self._now,
            }
        )

    def adapt(self, row: EventMessage, wanted: Planned) -> None:
        """A message that a row stands for already."""
        planned = row.status == Status.SCHEDULED and row.status_reason == Reason.PLANNED
        revivable = row.status in (Status.SKIPPED, Status.CANCELLED) and row.status_reason in self._revivable
        past = is_past(wanted, self._now)
        if planned and row.scheduled_time != wanted.scheduled_time:
            self._steps.append((_Step.SKIP if past else _Step.MOVE, row, wanted))
        elif planned and row.personalization_data != dict(wanted.personalization_data):
            self._steps.append((_Step.UPDATE, row, wanted))
        elif revivable and not past:
            self._steps.append((_Step.REVIVE, row, wanted))
        else:
            self.result.unchanged += 1

    def cancel(self, row: EventMessage) -> None:
        """A message that the plan does not ask for any more."""
        self._steps.append((_Step.CANCEL, row, None))

    async def write(self) -> None:
        """Makes all the changes, but none to a row that a worker or a person took meanwhile."""
        session = self._unit.session
        statuses = await lock_statuses(session, [row.id for _, row, _ in self._steps])
        ended: dict[_Step, list[EventMessage]] = {_Step.SKIP: [], _Step.CANCEL: []}
        for step, row, wanted in self._steps:
            if statuses.get(row.id) != (row.status, row.status_reason):
                self.result.unchanged += 1
                continue
            setattr(self.result, step, getattr(self.result, step) + 1)
            if wanted is not None:
                row.scheduled_time = wanted.scheduled_time
                row.personalization_data, row.updated_at = dict(wanted.personalization_data), self._now
            if step is _Step.MOVE:
                release(self._unit, EventMessages, row, row.scheduled_time, self._now)
            elif step is _Step.REVIVE:
                revive(self._unit, EventMessages, row, self._now, reason=Reason.PLANNED)
            elif step in ended:
                ended[step].append(row)
        await end(self._unit, EventMessages, ended[_Step.SKIP], Status.SKIPPED, Reason.PAST, self._now)
        gone, reason = ended[_Step.CANCEL], Reason.NO_LONGER_PLANNED
        await end(self._unit, EventMessages, gone, Status.CANCELLED, reason, self._now)
        await self._write_new()

    async def _write_new(self) -> None:
        if not self._new:
            return
        session, lines = self._unit.session, list[dict[str, Any]]()
        rows = await session.scalars(
            insert(EventMessage).returning(EventMessage, sort_by_parameter_order=True), self._new
        )
        for row in rows:
            if row.status == Status.SCHEDULED:
                self.result.scheduled += 1
                self._unit.arm(EventMessages.job(row))
            else:
                self.result.skipped += 1
                lines.append(decision(EventMessages, row, Outcome.SKIPPED, row.status_reason, self._now))
        await write_lines(session, lines)


async def lock_statuses(session: AsyncSession, ids: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """The present status of rows and its reason, locked until the unit of work ends: nobody takes them meanwhile."""
    statuses: dict[int, tuple[str, str | None]] = {}
    for start in range(0, len(ids), LOCK_CHUNK):
        rows = await session.execute(
            select(EventMessage.id, EventMessage.status, EventMessage.status_reason)
            .where(EventMessage.id.in_(sorted(ids)[start : start + LOCK_CHUNK]))
            .order_by(EventMessage.id)
            .with_for_update()
        )
        statuses.update({row.id: (row.status, row.status_reason) for row in rows})
    return statuses


async def clear(unit: Unit, reason: Reason, now: datetime, event_id: int, contractor_id: int | None = None) -> int:
    """Cancels the waiting messages of an event, or of one person there; returns how many."""
    which = EventMessage.event_id == event_id
    if contractor_id is not None:
        which &= EventMessage.contractor_id == contractor_id
    return await cancel_where(unit, EventMessages, which, reason, now)
