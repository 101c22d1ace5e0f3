"""The jobs that keep campaigns going, and what housekeeping does when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tidings.engine.jobs import Job, JobType, Schedule
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.jobs import BATCH, CAMPAIGNS, REPEAT, BatchData, ShopJobData, TaskData


class ReleaseData(ShopJobData):
    """A look at who of one shop's recipients may go now. `shop` is its row's id."""

    shop: int


class UpkeepData(ShopJobData):
    """A look at every campaign."""


RELEASE = JobType(CAMPAIGNS, "release", ReleaseData)
UPKEEP = JobType(CAMPAIGNS, "upkeep", UpkeepData)

EVERY_SECOND = Schedule("campaigns-upkeep", UPKEEP, UpkeepData(), seconds=1.0)
"""Starts what is due, and finds what a lost job left behind. In between, endings call for the next messages."""

ROLL_UP = Schedule("housekeeping-rollup", REPEAT, TaskData(task="rollup_reports"), seconds=3600.0, cron="5 * * * *")
RETRY = Schedule(
    "housekeeping-retry", REPEAT, TaskData(task="retry_failed_messages"), seconds=3600.0, cron="35 * * * *"
)
CLEAN_UP = Schedule(
    "housekeeping-cleanup", REPEAT, TaskData(task="cleanup_old_messages"), seconds=86_400.0, cron="15 3 * * *"
)
SCHEDULES = (EVERY_SECOND, ROLL_UP, RETRY, CLEAN_UP)


def release_job(shop_id: int, cause: str, *, due: datetime | None = None) -> Job:
    """A look at one shop. `cause` makes it a job of its own: one that runs already might have looked too early."""
    return replace(RELEASE.job(ReleaseData(shop=shop_id), due=due), id=f"release-{shop_id}-{cause}")


def batch_job(
    campaign: ShopCampaign, domain: str, batch_size: int | None = None, *, due: datetime | None = None
) -> Job:
    """The next batch of a campaign's audience; asking for it twice makes one job."""
    data = BatchData(campaign_id=campaign.id, shop_id=domain, batch_size=batch_size, request_id=campaign.request_id)
    return replace(BATCH.job(data, due=due), id=batch_id(campaign))


def batch_id(campaign: ShopCampaign) -> str:
    """`campaign-12-after-4711`."""
    return f"campaign-{campaign.id}-after-{campaign.cursor}"
