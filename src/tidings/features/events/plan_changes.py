"""Writes the differences between an event's plan and its stored messages in a few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.features.events.jobs import EVENT_MESSAGES
from tidings.features.events.kind import KIND, alarm, alarm_id
from tidings.features.events.models import EventMessage
from tidings.features.events.rules.plan import Planned
from tidings.features.events.rules.timing import is_past
from tidings.features.events.types import FACTS
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


@dataclass(frozen=True, slots=True)
class _Edit:
    """One change of a stored row, to be made unless a worker or a person took the row meanwhile."""

    row: EventMessage
    values: Mapping[str, Any]
    counted_as: str
    outcome: Outcome | None = None


class Change:
    """The differences between plan and rows, gathered and then written in a few statements."""

    def __init__(self, unit: Unit, clock: Clock, event_id: int, *, revivable: frozenset[Reason]) -> None:
        self.result = ScheduleResult()
        self._unit = unit
        self._now = clock.now()
        self._event_id = event_id
        self._revivable = revivable
        self._new: list[dict[str, Any]] = []
        self._edits: list[_Edit] = []
        self._lines: list[dict[str, Any]] = []

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
        moved = row.scheduled_time != wanted.scheduled_time
        text = {"personalization_data": dict(wanted.personalization_data)}
        time = {"scheduled_time": wanted.scheduled_time}
        fresh = _settled(Status.SCHEDULED, Reason.PLANNED)
        if planned and not moved:
            if row.personalization_data == text["personalization_data"]:
                self.result.unchanged += 1
            else:
                self._edits.append(_Edit(row, text, "updated"))
        elif planned and is_past(wanted, self._now):
            past = _settled(Status.SKIPPED, Reason.PAST)
            self._edits.append(_Edit(row, {**text, **time, **past}, "skipped", Outcome.SKIPPED))
        elif planned:
            self._edits.append(_Edit(row, {**text, **time, **fresh}, "moved"))
        elif revivable and not is_past(wanted, self._now):
            untried = {"attempts": 0, "error_message": None}
            self._edits.append(_Edit(row, {**text, **time, **fresh, **untried}, "scheduled"))
        else:
            self.result.unchanged += 1

    def cancel(self, row: EventMessage, reason: Reason) -> None:
        """A message that the plan does not ask for any more."""
        self._edits.append(_Edit(row, _settled(Status.CANCELLED, reason), "cancelled", Outcome.CANCELLED))

    async def write(self) -> None:
        session = self._unit.session
        await self._write_edits(session)
        if self._new:
            rows = await session.scalars(
                insert(EventMessage).returning(EventMessage, sort_by_parameter_order=True), self._new
            )
            for row in rows:
                if row.status == Status.SCHEDULED:
                    self.result.scheduled += 1
                    self._unit.arm(alarm(row))
                else:
                    self.result.skipped += 1
                    self._lines.append(decision_line(self._now, row, Outcome.SKIPPED))
        await session.flush()
        await write_lines(session, self._lines)

    async def _write_edits(self, session: AsyncSession) -> None:
        statuses = await lock_statuses(session, [edit.row.id for edit in self._edits])
        for edit in self._edits:
            row = edit.row
            if statuses.get(row.id) != (row.status, row.status_reason):
                self.result.unchanged += 1  # a worker or a person was quicker
                continue
            change_row(row, edit.values, self._now)
            setattr(self.result, edit.counted_as, getattr(self.result, edit.counted_as) + 1)
            if edit.outcome:
                self._lines.append(decision_line(self._now, row, edit.outcome))
                self._unit.disarm(EVENT_MESSAGES.name, alarm_id(row.id))
            elif "scheduled_time" in edit.values:
                self._unit.arm(alarm(row))


def _settled(status: Status, reason: Reason) -> dict[str, Any]:
    return {"status": status, "status_reason": reason}


def change_row(row: EventMessage, values: Mapping[str, Any], now: datetime) -> None:
    """Sets columns of a locked row; a new status ends whatever wait the row was in."""
    for name, value in values.items():
        setattr(row, name, value)
    if "status" in values:
        row.held_until = None
    row.updated_at = now


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


def decision_line(at: datetime, row: EventMessage, outcome: Outcome) -> dict[str, Any]:
    """The ledger line of a decision that was made before the message's turn."""
    return {
        "at": at,
        "kind": KIND,
        "message_id": row.id,
        "contact_id": row.contractor_id,
        "outcome": outcome,
        "reason": row.status_reason,
    }


async def clear(unit: Unit, reason: Reason, now: datetime, event_id: int, contractor_id: int | None = None) -> int:
    """Cancels the waiting messages of an event, or of one person there; returns how many."""
    query = select(EventMessage).where(EventMessage.event_id == event_id, EventMessage.status == Status.SCHEDULED)
    if contractor_id is not None:
        query = query.where(EventMessage.contractor_id == contractor_id)
    rows = (await unit.session.scalars(query.order_by(EventMessage.id).with_for_update())).all()
    await cancel_rows(unit, rows, reason, now)
    return len(rows)


async def cancel_rows(unit: Unit, rows: Sequence[EventMessage], reason: Reason, now: datetime) -> None:
    """Cancels locked rows, writes the decision down and stops their alarm clocks."""
    for row in rows:
        change_row(row, {"status": Status.CANCELLED, "status_reason": reason}, now)
        unit.disarm(EVENT_MESSAGES.name, alarm_id(row.id))
    await unit.session.flush()
    await write_lines(unit.session, [decision_line(now, row, Outcome.CANCELLED) for row in rows])
