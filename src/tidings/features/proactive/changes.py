"""Moves message rows on: to their scheduled time, or to an end that is decided before their turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.errors import NotFound
from tidings.features.proactive.jobs import PROACTIVE_MESSAGES
from tidings.features.proactive.kind import KIND, alarm, alarm_id
from tidings.features.proactive.models import ProactiveMessage
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit

SPACING = timedelta(seconds=2)
"""Between two messages of one delivery cycle."""


def release(unit: Unit, rows: Sequence[ProactiveMessage], now: datetime) -> None:
    """Schedules locked, waiting rows from now on, two seconds apart, and arms their jobs."""
    for number, row in enumerate(rows):
        row.scheduled_time = to_milliseconds(max(row.scheduled_time, now) + number * SPACING)
        row.status = Status.SCHEDULED
        row.updated_at = now
        unit.arm(alarm(row))


async def end(unit: Unit, rows: Sequence[ProactiveMessage], status: Status, reason: Reason, now: datetime) -> None:
    """Skips or cancels locked rows, writes the decision down and stops their alarm clocks."""
    outcome = Outcome.CANCELLED if status is Status.CANCELLED else Outcome.SKIPPED
    for row in rows:
        row.status, row.status_reason, row.held_until, row.updated_at = status, reason, None, now
        unit.disarm(PROACTIVE_MESSAGES.name, alarm_id(row.id))
    await unit.session.flush()
    await write_lines(
        unit.session,
        [
            {
                "at": now,
                "kind": KIND,
                "message_id": row.id,
                "contact_id": row.contractor_id,
                "outcome": outcome,
                "reason": reason,
                "inputs": {
                    "approval": row.approval,
                    "decided_by": row.decided_by,
                    "useful_until": row.useful_until.isoformat(),
                },
            }
            for row in rows
        ],
    )


async def find_message(session: AsyncSession, message_id: int, *, lock: bool = False) -> ProactiveMessage:
    """The message; with `lock` nobody else changes it until the unit of work ends. Raises NotFound."""
    query = select(ProactiveMessage).where(ProactiveMessage.id == message_id)
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("proactive message", message_id)
    return row
