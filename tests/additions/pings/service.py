"""The verb of the pings."""

from __future__ import annotations

from tidings.features.pings.kind import Ping, Pings

from tidings.messages.statuses import Status
from tidings.work import Work


class PingService:
    """What other programs call."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def ping(self, phone: str) -> str:
        """Sends a ping at once; returns the message's name."""
        now = self._work.clock.now()
        row = Ping(phone=phone, scheduled_time=now, status=Status.SCHEDULED, created_at=now, updated_at=now)
        async with self._work.begin() as unit:
            unit.session.add(row)
            await unit.session.flush()
            unit.arm(Pings.job(row))
        return Pings.job_id(row.id)
