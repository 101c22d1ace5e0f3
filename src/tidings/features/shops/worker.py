"""What the jobs of the shops' events, automations and messages do."""

from __future__ import annotations

from typing import Any

from tidings.engine.jobs import GiveUpJob, Handler, Run
from tidings.errors import UserError
from tidings.features.shops.jobs import (
    CATCH_UP,
    EVALUATE,
    EVENT_TYPES,
    SEND,
    CatchUpData,
    EvaluateData,
    EventData,
    SendData,
)
from tidings.features.shops.service import Shops
from tidings.log import get_logger
from tidings.messages.delivery.pipeline import Road

log = get_logger(__name__)


class ShopsWorker:
    """Handlers of the queues `events`, `automations` and `delivery`."""

    def __init__(self, shops: Shops, road: Road) -> None:
        self._shops = shops
        self._road = road

    async def process_event(self, data: EventData, run: Run) -> str:
        """Keeps what a shop told, and has the automations asked about it."""
        row_id = data.id if data.id is not None else await self._told(data.topic, data.shop_id, data.raw or {}, run)
        try:
            return await self._shops.process_event(row_id)
        except Exception as error:
            await self._note(row_id, error, run)
            raise

    async def evaluate_automation(self, data: EvaluateData, run: Run) -> dict[str, Any]:
        """Asks a shop's automations about an event."""
        row_id = data.id
        if row_id is None:
            row_id = await self._told(data.trigger, data.shop_id, data.raw or {}, run)
            await self._shops.process_event(row_id)
        try:
            answers = await self._shops.evaluate_event(row_id)
        except Exception as error:
            await self._note(row_id, error, run)
            raise
        return {key: answer["result"] for key, answer in answers.items()}

    async def send(self, data: SendData, run: Run) -> str:
        """Brings one message out."""
        if data.id is not None:
            return await self._road.deliver(data.id, run)
        try:
            row_id = await self._shops.store_told_message(data, run.request_id)
        except UserError as error:
            raise GiveUpJob(str(error)) from error
        return await self._road.deliver(row_id, run)

    async def catch_up(self, data: CatchUpData, run: Run) -> int:
        """Puts back the jobs of events that have none."""
        return await self._shops.catch_up()

    async def _told(self, topic: str, domain: str, raw: dict[str, Any], run: Run) -> int:
        try:
            return await self._shops.store_told_event(topic, domain, raw, run.request_id)
        except UserError as error:
            raise GiveUpJob(str(error)) from error

    async def _note(self, row_id: int, error: Exception, run: Run) -> None:
        """An event whose job is given up is not put back by `catch_up` for ever."""
        if not run.last:
            return
        try:
            await self._shops.fail_event(row_id, str(error) or type(error).__name__)
        except Exception:
            log.exception("failed event not noted", event_row=row_id)


def shop_handlers(shops: Shops, road: Road) -> tuple[Handler[Any], ...]:
    """A handler for every topic, and for each other kind of job."""
    worker = ShopsWorker(shops, road)
    return (
        *(Handler(kind, worker.process_event) for kind in EVENT_TYPES.values()),
        Handler(CATCH_UP, worker.catch_up),
        Handler(EVALUATE, worker.evaluate_automation),
        Handler(SEND, worker.send),
    )
