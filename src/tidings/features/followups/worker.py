"""What the job of the follow-ups does: send one."""

from __future__ import annotations

from tidings.engine.jobs import Run
from tidings.features.followups.schemas import SendFollowUp
from tidings.messages.delivery.pipeline import Road


class FollowUpsWorker:
    """Handler of the queue."""

    def __init__(self, road: Road) -> None:
        self._road = road

    async def send(self, data: SendFollowUp, run: Run) -> str:
        """Brings one follow-up out."""
        return await self._road.deliver(data.id, run)
