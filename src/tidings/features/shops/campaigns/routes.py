"""HTTP endpoints of segments, campaigns and reports, below the shop's. Times in answers are UTC."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from fastapi import APIRouter

from tidings.features.shops.campaigns.schemas import (
    CampaignIn,
    CampaignOut,
    CampaignProgress,
    DryRun,
    DryRunIn,
    RecipientOut,
    Report,
    RulesIn,
    ScheduleIn,
    SegmentIn,
    SegmentOut,
    SegmentPreview,
    TestIn,
    TestOut,
)
from tidings.features.shops.campaigns.service import Campaigns
from tidings.features.shops.campaigns.status import CampaignStatus
from tidings.features.shops.reports.service import Reports
from tidings.features.shops.schemas import Key
from tidings.fields import After, Limit
from tidings.messages.statuses import Status


def campaign_router(campaigns: Campaigns, reports: Reports) -> APIRouter:
    """The router over one service, which is both."""
    router = APIRouter(prefix="/shops/{domain}")
    _segment_routes(router, campaigns)
    _campaign_routes(router, campaigns)
    _course_routes(router, campaigns)
    _report_routes(router, reports)
    return router


def _segment_routes(router: APIRouter, shops: Campaigns) -> None:
    tags: list[Any] = ["segments"]

    @router.get("/segments", tags=tags)
    async def list_segments(domain: str) -> list[SegmentOut]:
        """Every segment by key."""
        return [SegmentOut.model_validate(row) for row in await shops.list_segments(domain)]

    @router.post("/segments/preview", tags=tags)
    async def preview_rules(domain: str, rules: RulesIn) -> SegmentPreview:
        """How many customers rules match that are not saved yet."""
        return await shops.preview_segment(domain, rules)

    @router.put("/segments/{key}", tags=tags)
    async def save_segment(domain: str, key: Key, segment: SegmentIn) -> SegmentOut:
        """Adds or replaces a segment."""
        return SegmentOut.model_validate(await shops.save_segment(domain, key, segment))

    @router.get("/segments/{key}", tags=tags)
    async def get_segment(domain: str, key: Key) -> SegmentOut:
        """One segment."""
        return SegmentOut.model_validate(await shops.get_segment(domain, key))

    @router.delete("/segments/{key}", status_code=204, tags=tags)
    async def delete_segment(domain: str, key: Key) -> None:
        """Deletes a segment that no draft is for."""
        await shops.delete_segment(domain, key)

    @router.get("/segments/{key}/preview", tags=tags)
    async def preview_segment(domain: str, key: Key) -> SegmentPreview:
        """How many customers match now, with samples."""
        return await shops.preview_segment(domain, key)


def _campaign_routes(router: APIRouter, shops: Campaigns) -> None:
    tags: list[Any] = ["campaigns"]

    @router.get("/campaigns", tags=tags)
    async def list_campaigns(
        domain: str, status: CampaignStatus | None = None, after_id: After = 0, limit: Limit = 100
    ) -> list[CampaignOut]:
        """Campaigns in order of id; the last id is the next page's `after_id`."""
        rows = await shops.list_campaigns(domain, status=status, after_id=after_id, limit=limit)
        return [CampaignOut.model_validate(row) for row in rows]

    @router.put("/campaigns/{key}", tags=tags)
    async def save_campaign(domain: str, key: Key, campaign: CampaignIn) -> CampaignOut:
        """Adds or replaces a draft."""
        return CampaignOut.model_validate(await shops.save_campaign(domain, key, campaign))

    @router.get("/campaigns/{key}", tags=tags)
    async def get_campaign(domain: str, key: Key) -> CampaignOut:
        """One campaign."""
        return CampaignOut.model_validate(await shops.get_campaign(domain, key))

    @router.post("/campaigns/{key}/dry-run", tags=tags)
    async def dry_run(domain: str, key: Key, moment: DryRunIn | None = None) -> DryRun:
        """What the gate would say to every recipient, and what the messages would cost. Nothing is written."""
        return await shops.dry_run(domain, key, moment)

    @router.post("/campaigns/{key}/test", status_code=201, tags=tags)
    async def send_test(domain: str, key: Key, to: TestIn) -> TestOut:
        """Sends the text to one number or customer, through the gate."""
        return await shops.send_test(domain, key, to)


def _course_routes(router: APIRouter, shops: Campaigns) -> None:
    tags: list[Any] = ["campaigns"]

    @router.post("/campaigns/{key}/schedule", tags=tags)
    async def schedule_campaign(domain: str, key: Key, schedule: ScheduleIn) -> CampaignOut:
        """Schedules a draft, or moves a campaign that has not begun."""
        return CampaignOut.model_validate(await shops.schedule_campaign(domain, key, schedule))

    @router.post("/campaigns/{key}/pause", tags=tags)
    async def pause_campaign(domain: str, key: Key) -> CampaignOut:
        """Holds a campaign at once."""
        return CampaignOut.model_validate(await shops.pause_campaign(domain, key))

    @router.post("/campaigns/{key}/resume", tags=tags)
    async def resume_campaign(domain: str, key: Key) -> CampaignOut:
        """Lets a paused campaign go on."""
        return CampaignOut.model_validate(await shops.resume_campaign(domain, key))

    @router.post("/campaigns/{key}/cancel", tags=tags)
    async def cancel_campaign(domain: str, key: Key) -> CampaignOut:
        """Ends a campaign for everybody who has not got it."""
        return CampaignOut.model_validate(await shops.cancel_campaign(domain, key))

    @router.get("/campaigns/{key}/progress", tags=tags)
    async def get_progress(domain: str, key: Key) -> CampaignProgress:
        """Where the recipients stand at this moment."""
        return await shops.get_progress(domain, key)

    @router.get("/campaigns/{key}/recipients", tags=tags)
    async def list_recipients(
        domain: str,
        key: Key,
        status: Literal["waiting"] | Status | None = None,
        after_id: After = 0,
        limit: Limit = 100,
    ) -> list[RecipientOut]:
        """A campaign's recipients in order of id."""
        return await shops.list_recipients(domain, key, status=status, after_id=after_id, limit=limit)


def _report_routes(router: APIRouter, shops: Reports) -> None:
    tags: list[Any] = ["reports"]

    @router.get("/reports", tags=tags)
    async def get_report(domain: str, first: date | None = None, last: date | None = None) -> Report:
        """Daily figures of automations and campaigns in the shop's timezone; by default of the last 30 days."""
        return await shops.get_report(domain, first=first, last=last)
