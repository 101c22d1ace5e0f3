"""What the jobs of the proactive messages do: evaluate, schedule a cycle, send one message."""

from __future__ import annotations

from tidings.engine.jobs import Run
from tidings.features.proactive.schemas import DeliverWaiting, EvaluateTriggers, SendProactiveMessage
from tidings.features.proactive.service import Proactive
from tidings.messages.delivery.pipeline import Road


class ProactiveWorker:
    """Handlers of both queues."""

    def __init__(self, proactive: Proactive, road: Road) -> None:
        self._proactive = proactive
        self._road = road

    async def evaluate(self, data: EvaluateTriggers, run: Run) -> dict[str, int]:
        """Makes the messages that contacts' states call for. Returns what was done."""
        return (await self._proactive.evaluate_proactive_triggers()).as_dict()

    async def deliver_waiting(self, data: DeliverWaiting, run: Run) -> dict[str, int]:
        """Schedules the next messages. Returns how many."""
        return {"scheduled": len(await self._proactive.deliver_waiting())}

    async def send(self, data: SendProactiveMessage, run: Run) -> str:
        """Brings one message out."""
        return await self._road.deliver(data.id, run)
