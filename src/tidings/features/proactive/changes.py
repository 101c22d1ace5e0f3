"""Moves message rows on: to their scheduled time, or to an end that is decided before their turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tidings.clock import to_milliseconds
from tidings.features.proactive.kind import ProactiveMessages
from tidings.features.proactive.models import ProactiveMessage
from tidings.messages import changes
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit

SPACING = timedelta(seconds=2)
"""Between two messages of one delivery cycle."""


def release(unit: Unit, rows: Sequence[ProactiveMessage], now: datetime) -> None:
    """Schedules locked, waiting rows from now on, two seconds apart, and arms their jobs."""
    for number, row in enumerate(rows):
        at = to_milliseconds(max(row.scheduled_time, now) + number * SPACING)
        changes.release(unit, ProactiveMessages, row, at, now)


async def end(unit: Unit, rows: Sequence[ProactiveMessage], status: Status, reason: Reason, now: datetime) -> None:
    """Skips or cancels locked rows; the ledger keeps who decided what about them."""
    await changes.end(unit, ProactiveMessages, rows, status, reason, now, inputs=_decided)


def _decided(row: Any) -> dict[str, Any]:
    return {
        "approval": row.approval,
        "decided_by": row.decided_by,
        "useful_until": row.useful_until.isoformat(),
    }
