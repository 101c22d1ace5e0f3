"""Changes that somebody makes to messages before their turn: called off, put off, let go, or brought back.

Each writes the row, its line in the ledger and its job together, so that none of them is forgotten. Rows are locked
by the caller, in order of id.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, update

from tidings.db.rows import locked_ids
from tidings.errors import Conflict
from tidings.messages.kind import Kinds, MessageKind
from tidings.messages.ledger import LedgerEntry, Outcome, write_lines
from tidings.messages.statuses import Reason, Status
from tidings.work import Portions, Unit, Work

Kind = type[MessageKind] | MessageKind

CHUNK = 1000
"""Rows that one statement changes."""

PORTION = 250
"""Rows that one unit of work changes where others have their turn in between."""

_ENDINGS = {Status.CANCELLED: Outcome.CANCELLED, Status.SKIPPED: Outcome.SKIPPED}


def refuse(kind: Kind, row: Any, verb: str, *statuses: Status) -> None:
    """Raises Conflict when the row has one of the statuses, in which it cannot be what the `verb` says."""
    if row.status in statuses:
        raise Conflict(f"{kind.noun} {row.id} {state_of(row)} and cannot be {verb}")


def state_of(row: Any) -> str:
    """Where a row stands, for the middle of a sentence."""
    match row.status:
        case Status.SENDING:
            return "is being sent right now"
        case Status.UNKNOWN:
            return "may have left, which is to be settled first,"
        case status:
            return f"is {status} already"


def revive(unit: Unit, kind: Kind, row: Any, now: datetime, *, reason: Reason = Reason.BY_REQUEST) -> None:
    """Schedules a locked row (again) with fresh attempts, at the time that it has, and arms its job."""
    row.status, row.status_reason, row.error_message, row.attempts = Status.SCHEDULED, reason, None, 0
    row.held_until, row.updated_at = None, now
    unit.arm(kind.job(row))


def release(unit: Unit, kind: Kind, row: Any, at: datetime, now: datetime) -> None:
    """Lets a locked, waiting row go at `at` (UTC), and arms its job."""
    row.status, row.scheduled_time, row.held_until, row.updated_at = Status.SCHEDULED, at, None, now
    unit.arm(kind.job(row))


async def wake_held(work: Work, kinds: Kinds, contact_ids: Collection[int], reason: Reason, held: timedelta) -> int:
    """Has messages to these contacts looked at now that the gate held for this reason, for `held` at most.

    Returns how many. The ledger knows them, whatever their kind; each kind is a unit of work of its own.
    """
    now = work.clock.now()
    lines = (
        select(LedgerEntry.kind, LedgerEntry.message_id)
        .where(
            LedgerEntry.contact_id.in_(sorted(contact_ids)),
            LedgerEntry.at > now - held - timedelta(minutes=1),
            LedgerEntry.outcome == Outcome.DEFERRED,
            LedgerEntry.reason == reason,
        )
        .distinct()
    )
    found: dict[str, list[int]] = {}
    async with work.read() as session:
        for name, message_id in await session.execute(lines) if contact_ids else ():
            found.setdefault(name, []).append(message_id)
    woken = 0
    for name, ids in found.items():
        kind = kinds.get(name)
        if kind is None:
            continue
        model = kind.model
        waiting = (model.id.in_(ids), model.status == Status.SCHEDULED, model.held_until > now)
        async with work.begin() as unit:
            rows = await unit.session.execute(
                update(model)
                .where(model.id.in_(locked_ids(model, *waiting)))
                .values(held_until=None, updated_at=now)
                .returning(*model.__table__.c)
            )
            for row in rows.all():
                unit.arm(kind.job(row))
                woken += 1
    return woken


async def end(
    unit: Unit,
    kind: Kind,
    rows: Sequence[Any],
    status: Status,
    reason: Reason,
    now: datetime,
    *,
    inputs: Callable[[Any], Mapping[str, Any]] = lambda row: {},
) -> None:
    """Cancels or skips locked rows: `inputs` are what the decision about each was made from."""
    for row in rows:
        row.status, row.status_reason, row.held_until, row.updated_at = status, reason, None, now
        unit.disarm(kind.job_type_of(row).queue.name, kind.job_id(row.id))
    await unit.session.flush()
    await write_lines(
        unit.session, [decision(kind, row, _ENDINGS[status], reason, now, inputs=inputs(row)) for row in rows]
    )


async def cancel_where(unit: Unit, kind: Kind, which: ColumnElement[bool], reason: Reason, now: datetime) -> int:
    """Cancels those of the rows that no worker has in its hands, all in this unit of work; returns how many."""
    ended = 0
    while changed := await _cancel_some(unit, kind, which, reason, now, CHUNK):
        ended += changed
        if changed < CHUNK:
            break
    return ended


async def cancel_many(work: Work, kind: Kind, which: ColumnElement[bool], reason: Reason) -> int:
    """The same for as many as there are, some after the other, and other messages leave in between.

    Whoever does it again goes on where it stopped.
    """
    portions, ended = Portions(work), 0
    while True:
        async with portions.begin() as unit:
            changed = await _cancel_some(unit, kind, which, reason, work.clock.now(), PORTION)
        ended += changed
        if changed < PORTION:
            return ended


async def _cancel_some(
    unit: Unit, kind: Kind, which: ColumnElement[bool], reason: Reason, now: datetime, most: int
) -> int:
    model = kind.model
    found = (
        select(model.id)
        .where(which, model.status.in_((Status.SCHEDULED, Status.WAITING)))
        .order_by(model.id)
        .limit(most)
        .with_for_update()
    )
    rows = await unit.session.execute(
        update(model)
        .where(model.id.in_(found))
        .values(status=Status.CANCELLED, status_reason=reason, held_until=None, updated_at=now)
        .returning(*model.__table__.c)
    )
    changed = rows.all()
    for row in changed:
        unit.disarm(kind.job_type_of(row).queue.name, kind.job_id(row.id))
    await write_lines(unit.session, [decision(kind, row, Outcome.CANCELLED, reason, now) for row in changed])
    return len(changed)


def decision(
    kind: Kind,
    row: Any,
    outcome: Outcome,
    reason: Reason | str | None,
    now: datetime,
    *,
    inputs: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The ledger's line of a decision that was made before the message's turn; `more` are further columns."""
    return {
        "at": now,
        "kind": kind.name,
        "message_id": row.id,
        "contact_id": kind.contact_of(row),
        "tenant": kind.tenant_of(row),
        "outcome": outcome,
        "reason": reason,
        "request_id": getattr(row, "request_id", None),
        "inputs": dict(inputs or {}),
        **more,
    }
