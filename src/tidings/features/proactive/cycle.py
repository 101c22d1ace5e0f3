"""The delivery cycle: every five minutes it schedules the oldest waiting messages, and ends what waited too long."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from tidings.features.proactive.changes import end, release
from tidings.features.proactive.models import Approval, ProactiveMessage
from tidings.log import get_logger
from tidings.messages.statuses import Reason, Status
from tidings.work import Work

log = get_logger(__name__)

MOST_PER_CYCLE = 20
PAGE = 500

_AWAITS_APPROVAL = ProactiveMessage.approval == Approval.PENDING


async def schedule_waiting(work: Work) -> list[ProactiveMessage]:
    """Schedules up to 20 waiting messages that may go, the oldest first; two cycles never take the same one."""
    now = work.clock.now()
    async with work.begin() as unit:
        rows = await unit.session.scalars(
            select(ProactiveMessage)
            .where(
                ProactiveMessage.status == Status.WAITING,
                ~_AWAITS_APPROVAL,
                ProactiveMessage.scheduled_time <= now,
            )
            .order_by(ProactiveMessage.scheduled_time, ProactiveMessage.id)
            .limit(MOST_PER_CYCLE)
            .with_for_update(skip_locked=True)
        )
        taken = list(rows)
        release(unit, taken, now)
    return taken


async def end_overdue(work: Work) -> tuple[int, int]:
    """Skips waiting messages that nobody approved in time, and stale ones. Returns how many of each."""
    now = work.clock.now()
    unapproved = await _skip(work, Reason.NOT_APPROVED, _AWAITS_APPROVAL, ProactiveMessage.approval_until <= now)
    stale = await _skip(work, Reason.EXPIRED, ProactiveMessage.useful_until <= now)
    if unapproved or stale:
        log.info("waiting messages ended", not_approved=unapproved, stale=stale)
    return unapproved, stale


async def _skip(work: Work, reason: Reason, *overdue: ColumnElement[bool]) -> int:
    ended = 0
    while True:
        async with work.begin() as unit:
            rows = await unit.session.scalars(
                select(ProactiveMessage)
                .where(ProactiveMessage.status == Status.WAITING, *overdue)
                .order_by(ProactiveMessage.scheduled_time, ProactiveMessage.id)
                .limit(PAGE)
                .with_for_update(skip_locked=True)
            )
            found = list(rows)
            await end(unit, found, Status.SKIPPED, reason, work.clock.now())
        ended += len(found)
        if len(found) < PAGE:
            return ended
