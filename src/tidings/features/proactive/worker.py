"""What the jobs of the proactive messages do that come round: evaluate, and schedule a cycle."""

from __future__ import annotations

from tidings.engine.jobs import Run
from tidings.features.proactive.schemas import DeliverWaiting, EvaluateTriggers
from tidings.features.proactive.service import Proactive


class ProactiveWorker:
    """Handlers of the jobs that come round."""

    def __init__(self, proactive: Proactive) -> None:
        self._proactive = proactive

    async def evaluate(self, data: EvaluateTriggers, run: Run) -> dict[str, int]:
        """Makes the messages that contacts' states call for. Returns what was done."""
        return (await self._proactive.evaluate_proactive_triggers()).as_dict()

    async def deliver_waiting(self, data: DeliverWaiting, run: Run) -> dict[str, int]:
        """Schedules the next messages. Returns how many."""
        return {"scheduled": len(await self._proactive.deliver_waiting())}
