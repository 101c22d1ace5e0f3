"""What housekeeping does, under the specification's names. Each task may run twice, or twice at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, null, or_, select, update

from tidings.clock import to_milliseconds
from tidings.db.rows import locked_ids
from tidings.engine.jobs import GiveUpJob
from tidings.engine.policy import QueuePolicy
from tidings.errors import NotFound
from tidings.features.shops.campaigns.jobs import release_job
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.campaigns.status import CampaignStatus
from tidings.features.shops.jobs import TaskData
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.lookup import find_told_shop
from tidings.features.shops.models import Shop, ShopMessage, ShopWebhookEvent
from tidings.features.shops.reports.rollup import roll_up
from tidings.features.shops.settings import ShopSettings
from tidings.log import get_logger
from tidings.messages.retention import Keeping, days
from tidings.messages.statuses import LEFT, Status
from tidings.work import Work

log = get_logger(__name__)

PAGE = 500
"""Rows that one transaction changes."""

RECENT = timedelta(hours=24)
"""How long ago a message may have failed that is tried once more."""

_ENDED = (*LEFT, Status.SKIPPED, Status.FAILED, Status.CANCELLED)


def kept_events(settings: ShopSettings) -> Keeping:
    """What a shop told stays until it was worked on, however long that takes."""
    is_done = or_(ShopWebhookEvent.evaluated_at.is_not(None), ShopWebhookEvent.error.is_not(None))
    return Keeping(
        ShopWebhookEvent, ShopWebhookEvent.received_at, days(settings.keep_shop_events_days), lambda before: is_done
    )


@dataclass(frozen=True)
class Housekeeping:
    """The tasks. `delivery` is the queue that messages leave by, texts are kept for `retention` after their end."""

    work: Work
    delivery: QueuePolicy
    retention: timedelta

    async def run(self, data: TaskData) -> dict[str, int]:
        """Does one task for the shop that is named, else for every one. Returns how many rows it came to."""
        shop_ids = await self._shops(data.shop_id)
        tasks: Mapping[str, Callable[[int], Awaitable[int]]] = {
            "cleanup_old_messages": self.cleanup_old_messages,
            "retry_failed_messages": self.retry_failed_messages,
            "rollup_reports": self.rollup_reports,
        }
        task = tasks[data.task]
        done = {"shops": len(shop_ids), "rows": sum([await task(shop_id) for shop_id in shop_ids])}
        log.info("housekeeping done", task=data.task, **done)
        return done

    async def cleanup_old_messages(self, shop_id: int) -> int:
        """Empties the texts and facts of messages that ended long ago, and webhooks as they came in.

        The rows and their figures stay. Returns how many rows were emptied.
        """
        return await self._empty_messages(shop_id) + await self._empty_events(shop_id)

    async def retry_failed_messages(self, shop_id: int) -> int:
        """Tries messages once more that used up all their attempts within the last 24 hours.

        What failed earlier than that had a reason that stays: no number, a text that cannot be made, a refusal that
        the provider called final. Returns how many are tried again.
        """
        now = self.work.clock.now()
        retried = 0
        while True:
            async with self.work.begin() as unit:
                rows = (
                    await unit.session.scalars(
                        select(ShopMessage)
                        .join(Shop, Shop.id == ShopMessage.shop_id)
                        .outerjoin(ShopCampaign, ShopCampaign.id == ShopMessage.campaign_id)
                        .where(
                            ShopMessage.shop_id == shop_id,
                            ShopMessage.status == Status.FAILED,
                            ShopMessage.retried_at.is_(None),
                            ShopMessage.attempts >= self.delivery.attempts,
                            ShopMessage.updated_at >= now - RECENT,
                            or_(ShopMessage.not_after.is_(None), ShopMessage.not_after > now),
                            or_(ShopCampaign.id.is_(None), ShopCampaign.status != CampaignStatus.CANCELLED),
                            Shop.uninstalled_at.is_(None),
                        )
                        .order_by(ShopMessage.id)
                        .limit(PAGE)
                        .with_for_update(of=ShopMessage, skip_locked=True)
                    )
                ).all()
                for row in rows:
                    row.retried_at = row.updated_at = now
                    row.scheduled_time, row.held_until = to_milliseconds(now), None
                    row.status = Status.SCHEDULED if row.campaign_id is None else Status.WAITING
                    if row.campaign_id is None:
                        unit.arm(ShopMessages.job(row))
                await unit.session.flush()
                theirs = ShopCampaign.id.in_({row.campaign_id for row in rows})
                over = (theirs, ShopCampaign.status == CampaignStatus.FINISHED)
                await unit.session.execute(
                    update(ShopCampaign)
                    .where(ShopCampaign.id.in_(locked_ids(ShopCampaign, *over)))
                    .values(status=CampaignStatus.RUNNING, finished_at=None, updated_at=now)
                )
                if any(row.campaign_id is not None for row in rows):
                    unit.arm(release_job(shop_id, f"retried-{rows[-1].id}"))
            retried += len(rows)
            if len(rows) < PAGE:
                return retried

    async def rollup_reports(self, shop_id: int) -> int:
        """Counts the figures of the last days. Returns how many lines of figures there are."""
        return await roll_up(self.work, shop_id)

    async def _shops(self, domain: str | None) -> list[int]:
        async with self.work.read() as session:
            if domain is None:
                return list(await session.scalars(select(Shop.id).order_by(Shop.id)))
            try:
                return [(await find_told_shop(session, domain)).id]
            except NotFound as error:
                raise GiveUpJob(str(error)) from error

    async def _empty_messages(self, shop_id: int) -> int:
        old = and_(
            ShopMessage.shop_id == shop_id,
            ShopMessage.status.in_(_ENDED),
            ShopMessage.updated_at < self.work.clock.now() - self.retention,
            or_(ShopMessage.text.is_not(None), ShopMessage.context.is_not(None)),
        )
        return await self._empty(ShopMessage, old, text=None, context=null())

    async def _empty_events(self, shop_id: int) -> int:
        old = and_(
            ShopWebhookEvent.shop_id == shop_id,
            ShopWebhookEvent.received_at < self.work.clock.now() - self.retention,
            ShopWebhookEvent.raw.is_not(None),
        )
        return await self._empty(ShopWebhookEvent, old, raw=null())

    async def _empty(self, model: type[ShopMessage] | type[ShopWebhookEvent], old: object, **values: object) -> int:
        emptied, last_id = 0, 0
        while True:
            async with self.work.begin() as unit:
                ids = (
                    await unit.session.scalars(
                        select(model.id)
                        .where(old, model.id > last_id)  # type: ignore[arg-type]
                        .order_by(model.id)
                        .limit(PAGE)
                        .with_for_update(skip_locked=True)
                    )
                ).all()
                await unit.session.execute(
                    update(model)
                    .where(model.id.in_(ids))
                    .values(**values)
                    .execution_options(synchronize_session=False)
                )
            emptied += len(ids)
            if len(ids) < PAGE:
                return emptied
            last_id = ids[-1]
