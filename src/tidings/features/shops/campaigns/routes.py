"""HTTP endpoints of campaigns, below the shop's. Times in answers are UTC."""

from __future__ import annotations

from typing import Annotated, Literal

from tidings.features.shops.campaigns.schemas import (
    CampaignIn,
    CampaignOut,
    CampaignProgress,
    DryRun,
    DryRunIn,
    RecipientOut,
    ScheduleIn,
    TestIn,
    TestOut,
)
from tidings.features.shops.campaigns.status import CampaignStatus
from tidings.features.shops.schemas import Key
from tidings.features.shops.service import Shops
from tidings.fields import After, Limit
from tidings.messages.statuses import Status
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]

router = new_router(prefix="/shops/{domain}", tags=["campaigns"])


@router.get("/campaigns")
async def list_campaigns(
    shops: Service, domain: str, status: CampaignStatus | None = None, after_id: After = 0, limit: Limit = 100
) -> list[CampaignOut]:
    """Campaigns in order of id; the last id is the next page's `after_id`."""
    rows = await shops.campaigns.list(domain, status=status, after_id=after_id, limit=limit)
    return [CampaignOut.model_validate(row) for row in rows]


@router.put("/campaigns/{key}")
async def save_campaign(shops: Service, domain: str, key: Key, campaign: CampaignIn) -> CampaignOut:
    """Adds or replaces a draft."""
    return CampaignOut.model_validate(await shops.campaigns.save(domain, key, campaign))


@router.get("/campaigns/{key}")
async def get_campaign(shops: Service, domain: str, key: Key) -> CampaignOut:
    """One campaign."""
    return CampaignOut.model_validate(await shops.campaigns.get(domain, key))


@router.post("/campaigns/{key}/dry-run")
async def dry_run(shops: Service, domain: str, key: Key, moment: DryRunIn | None = None) -> DryRun:
    """What the gate would say to every recipient, and what the messages would cost. Nothing is written."""
    return await shops.campaigns.dry_run(domain, key, moment)


@router.post("/campaigns/{key}/test", status_code=201)
async def send_test(shops: Service, domain: str, key: Key, to: TestIn) -> TestOut:
    """Sends the text to one number or customer, through the gate."""
    return await shops.campaigns.send_test(domain, key, to)


@router.post("/campaigns/{key}/schedule")
async def schedule_campaign(shops: Service, domain: str, key: Key, schedule: ScheduleIn) -> CampaignOut:
    """Schedules a draft, or moves a campaign that has not begun."""
    return CampaignOut.model_validate(await shops.campaigns.schedule(domain, key, schedule))


@router.post("/campaigns/{key}/pause")
async def pause_campaign(shops: Service, domain: str, key: Key) -> CampaignOut:
    """Holds a campaign at once."""
    return CampaignOut.model_validate(await shops.campaigns.pause(domain, key))


@router.post("/campaigns/{key}/resume")
async def resume_campaign(shops: Service, domain: str, key: Key) -> CampaignOut:
    """Lets a paused campaign go on."""
    return CampaignOut.model_validate(await shops.campaigns.resume(domain, key))


@router.post("/campaigns/{key}/cancel")
async def cancel_campaign(shops: Service, domain: str, key: Key) -> CampaignOut:
    """Ends a campaign for everybody who has not got it."""
    return CampaignOut.model_validate(await shops.campaigns.cancel(domain, key))


@router.get("/campaigns/{key}/progress")
async def get_progress(shops: Service, domain: str, key: Key) -> CampaignProgress:
    """Where the recipients stand at this moment."""
    return await shops.campaigns.progress(domain, key)


@router.get("/campaigns/{key}/recipients")
async def list_recipients(
    shops: Service,
    domain: str,
    key: Key,
    status: Literal["waiting"] | Status | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[RecipientOut]:
    """A campaign's recipients in order of id."""
    rows = await shops.campaigns.recipients(domain, key, status=status, after_id=after_id, limit=limit)
    return list(rows)
