"""The next occurrence of a series: scheduled exactly once, in the transaction that ends the one before.

Whoever schedules it holds the lock on the row before it and writes its id there, so a second run finds
nothing to do. Where it could not be written, recovery finds the row by `UNFOLLOWED` and has it written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import to_milliseconds
from tidings.engine.jobs import Job
from tidings.features.followups.jobs import SEND_FOLLOW_UP
from tidings.features.followups.models import EVENTS, FollowUp, priority_for
from tidings.features.followups.rules.recurrence import first_in, next_occurrence
from tidings.features.followups.zones import ZONE_COLUMNS, zone_of_row
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.kind import MessageJob
from tidings.messages.statuses import Reason, Status

_ROW = FollowUp.__table__.c
_CONTRACTOR = Contractor.__table__.c
_INHERITED = tuple(
    _ROW[name]
    for name in (
        "contractor_id",
        "action_item_id",
        "event_id",
        "followup_type",
        "message_template",
        "message_tone",
        "ai_should_personalize",
        "ai_context_hints",
        "skip_if_completed",
        "is_recurring",
        "recurrence_interval_days",
        "channel",
        "if_blocked",
        "series_id",
        "first_local_time",
        "experiment_id",
        "variant",
    )
)


async def schedule_next(
    connection: AsyncConnection, ids: Sequence[int], now: datetime, timezone: str
) -> dict[int, Job]:
    """The next occurrences of recurring rows that have none yet, written; their jobs by the ids of those rows.

    Each lies in the future: those that were missed while nobody worked are left out. `timezone` is that of
    contractors whose own nothing tells.
    """
    waiting = (_ROW.id.in_(sorted(ids)), _ROW.is_recurring, _ROW.next_occurrence_id.is_(None))
    locked = (await connection.scalars(select(_ROW.id).where(*waiting).order_by(_ROW.id).with_for_update())).all()
    if not locked:
        return {}
    # Read only now: whoever held the lock may have made a VIP of the contractor.
    rows = await connection.execute(
        select(
            _ROW.id, _ROW.scheduled_time, _ROW.not_after, _ROW.occurrence, *_INHERITED,
            *ZONE_COLUMNS, _CONTRACTOR.vip,
        )
        .join(_CONTRACTOR.id.table, _CONTRACTOR.id == _ROW.contractor_id)
        .outerjoin(EVENTS, EVENTS.c.id == _ROW.event_id)
        .where(_ROW.id.in_(locked))
        .order_by(_ROW.id)
    )  # fmt: skip
    occurrences = {row["id"]: _next(row, now, timezone) for row in rows.mappings()}
    made = await connection.execute(
        insert(FollowUp).returning(_ROW.id, sort_by_parameter_order=True), list(occurrences.values())
    )
    links = dict(zip(occurrences, made.scalars(), strict=True))
    await connection.execute(
        update(FollowUp).where(_ROW.id == bindparam("row_id")).values(next_occurrence_id=bindparam("next")),
        [{"row_id": row_id, "next": next_id} for row_id, next_id in links.items()],
    )
    return {
        row_id: SEND_FOLLOW_UP.job(
            MessageJob(id=next_id),
            due=occurrences[row_id]["scheduled_time"],
            priority=occurrences[row_id]["priority"],
        )
        for row_id, next_id in links.items()
    }


def _next(row: Mapping[Any, Any], now: datetime, timezone: str) -> dict[str, Any]:
    zone = zone_of_row(row, timezone)
    first = first_in(zone, row, timezone)
    number, moment = next_occurrence(
        first, row["recurrence_interval_days"], row["occurrence"], zone.name, max(now, row["scheduled_time"])
    )
    useful = row["not_after"] - row["scheduled_time"] if row["not_after"] else None
    return {
        **{column.name: row[column.name] for column in _INHERITED},
        "first_local_time": first,
        "scheduled_time": to_milliseconds(moment),
        "not_after": moment + useful if useful else None,
        "occurrence": number,
        "priority": priority_for(row["vip"]),
        "status": Status.SCHEDULED,
        "status_reason": Reason.RECURRING,
        "created_at": now,
        "updated_at": now,
    }
