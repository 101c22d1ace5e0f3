"""What workers do with the jobs of the shops' five queues; the first five verbs are the specification's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidings.engine.jobs import AnyHandler, BatchHandler, GiveUpJob, Handler, HeldJob, Run
from tidings.errors import UserError
from tidings.features.shops.automations.evaluate import evaluate_event
from tidings.features.shops.campaigns.expansion import BATCH as BATCH_SIZE
from tidings.features.shops.campaigns.expansion import expand
from tidings.features.shops.campaigns.jobs import RELEASE, UPKEEP, ReleaseData, UpkeepData
from tidings.features.shops.campaigns.release import Releases
from tidings.features.shops.campaigns.upkeep import keep_up
from tidings.features.shops.events.process import catch_up, fail_event, process_event
from tidings.features.shops.external_jobs import find_campaign_of_job, store_told_event, store_told_message
from tidings.features.shops.housekeeping import Housekeeping
from tidings.features.shops.jobs import (
    BATCH,
    CATCH_UP,
    CLEANUP,
    EVALUATE,
    EVENT_TYPES,
    REPEAT,
    SEND,
    BatchData,
    CatchUpData,
    EvaluateData,
    EventData,
    SendData,
    TaskData,
)
from tidings.log import get_logger
from tidings.messages.delivery import told
from tidings.messages.delivery.pipeline import DeliveryPipeline
from tidings.work import Work

log = get_logger(__name__)


class ShopsWorker:
    """Works on `events`, `automations`, `campaigns`, `delivery` and `housekeeping`."""

    def __init__(
        self, work: Work, pipeline: DeliveryPipeline, releases: Releases, housekeeping: Housekeeping
    ) -> None:
        self._work = work
        self._pipeline = pipeline
        self._releases = releases
        self._housekeeping = housekeeping

    def handlers(self) -> tuple[AnyHandler, ...]:
        """A handler for every topic, and for each other kind of job."""
        return (
            *(Handler(topic, self.process_event) for topic in EVENT_TYPES.values()),
            Handler(CATCH_UP, self.catch_up),
            Handler(EVALUATE, self.evaluate_automation),
            Handler(BATCH, self.process_campaign_batch),
            Handler(RELEASE, self.release),
            Handler(UPKEEP, self.keep_up),
            BatchHandler(SEND, self.process_deliveries),
            Handler(REPEAT, self.process_housekeeping),
            Handler(CLEANUP, self.process_housekeeping),
        )

    async def process_event(self, data: EventData, run: Run) -> str:
        """Keeps what a shop told, and has the automations asked about it."""
        row_id = data.id if data.id is not None else await self._told(data.topic, data.shop_id, data.raw or {}, run)
        try:
            return await process_event(self._work, row_id)
        except Exception as error:
            await self._note(row_id, error, run)
            raise

    async def evaluate_automation(self, data: EvaluateData, run: Run) -> dict[str, Any]:
        """Asks a shop's automations about an event; what came of each, by its key."""
        row_id = data.id
        if row_id is None:
            row_id = await self._told(data.trigger, data.shop_id, data.raw or {}, run)
            await process_event(self._work, row_id)
        try:
            answers = await evaluate_event(self._work, row_id)
        except Exception as error:
            await self._note(row_id, error, run)
            raise
        return {key: answer["result"] for key, answer in answers.items()}

    async def process_campaign_batch(self, data: BatchData, run: Run) -> str:
        """Writes down the next recipients of a campaign."""
        try:
            campaign_id = await find_campaign_of_job(self._work, data.campaign_id, data.shop_id)
        except UserError as error:
            raise GiveUpJob(str(error)) from error
        expanded = await expand(self._work, campaign_id, data.batch_size or BATCH_SIZE)
        if expanded.because:
            return f"skipped: {expanded.because}"
        return f"{expanded.added} recipients{', the last ones' if expanded.is_complete else ''}"

    async def process_deliveries(self, jobs: Sequence[HeldJob[SendData]]) -> None:
        """Brings messages out, those that a job only tells of, too."""
        await told.deliver(self._pipeline, jobs, lambda data, request: store_told_message(self._work, data, request))

    async def process_housekeeping(self, data: TaskData, run: Run) -> dict[str, int]:
        """Does one task; says for how many shops, and how many rows it came to."""
        return await self._housekeeping.run(data)

    async def release(self, data: ReleaseData, run: Run) -> dict[str, int]:
        """Releases recipients of one shop; says how many."""
        done = await self._releases.release(data.shop)
        return {"released": done.released, "put_off": done.put_off, "finished": done.finished}

    async def keep_up(self, data: UpkeepData, run: Run) -> dict[str, int]:
        """Looks at every campaign; says what had to be done."""
        done = await keep_up(self._work, self._releases)
        return {"released": done.released, "batches": done.batches, "ended": done.ended}

    async def catch_up(self, data: CatchUpData, run: Run) -> int:
        """Puts back the jobs of events that have none."""
        return await catch_up(self._work)

    async def _told(self, topic: str, domain: str, raw: dict[str, Any], run: Run) -> int:
        try:
            return await store_told_event(self._work, topic, domain, raw, run.request_id)
        except UserError as error:
            raise GiveUpJob(str(error)) from error

    async def _note(self, row_id: int, error: Exception, run: Run) -> None:
        """An event whose job is given up is not put back by `catch_up` for ever."""
        if not run.last:
            return
        try:
            await fail_event(self._work, row_id, str(error) or type(error).__name__)
        except Exception:
            log.exception("failed event not noted", event_row=row_id)
