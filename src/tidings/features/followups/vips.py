"""VIPs: contractors whose follow-ups go before those of others."""

from __future__ import annotations

from sqlalchemy import update

from tidings.db.rows import locked_ids
from tidings.errors import NotFound
from tidings.features.followups.kind import FollowUpMessages
from tidings.features.followups.models import FollowUp, priority_for
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.statuses import OPEN
from tidings.work import Work


async def set_vip(work: Work, contractor_id: int, vip: bool) -> int:
    """Has a contractor's follow-ups go first, or not any more; returns how many waiting ones that moved.

    Raises NotFound.
    """
    now, priority = work.clock.now(), priority_for(vip)
    theirs = (FollowUp.contractor_id == contractor_id, FollowUp.status.in_(OPEN))
    async with work.begin() as unit:
        session = unit.session
        # Rows before the contractor, as everybody locks them.
        await session.execute(locked_ids(FollowUp, *theirs))
        found = await session.execute(
            update(Contractor)
            .where(Contractor.id == contractor_id)
            .values(vip=vip, updated_at=now)
            .returning(Contractor.id)
        )
        if found.one_or_none() is None:
            raise NotFound("contractor", contractor_id)
        # Also those that were written while this waited for its locks, but for what a worker is sending already.
        others = locked_ids(FollowUp, *theirs, FollowUp.priority != priority, skip_locked=True)
        rows = await session.scalars(
            update(FollowUp)
            .where(FollowUp.id.in_(others))
            .values(priority=priority, updated_at=now)
            .returning(FollowUp)
        )
        moved = rows.all()
        for row in moved:
            unit.arm(FollowUpMessages.job(row))
        return len(moved)
