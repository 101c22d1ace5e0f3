"""What the queue webhook-delivery does: bring one event to one endpoint."""

from __future__ import annotations

from tidings.customer_webhooks.jobs import WebhookDeliveryJob
from tidings.engine.jobs import Run
from tidings.messages.delivery.pipeline import Road


class WebhookWorker:
    """Handler of the queue."""

    def __init__(self, road: Road) -> None:
        self._road = road

    async def deliver(self, data: WebhookDeliveryJob, run: Run) -> str:
        """Delivers one event, or finds that it has been."""
        return await self._road.deliver(data.id, run)
