"""HTTP endpoints of the shops: those of their parts, their messages, and jobs that other programs add."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from tidings.features.shops.accounts.routes import router as accounts_router
from tidings.features.shops.automations.routes import router as automations_router
from tidings.features.shops.campaigns.routes import router as campaigns_router
from tidings.features.shops.customers.routes import router as customers_router
from tidings.features.shops.events.routes import router as events_router
from tidings.features.shops.inbox.routes import router as inbox_router
from tidings.features.shops.reports.routes import router as reports_router
from tidings.features.shops.schemas import Enqueued, InPath, JobIn, ShopMessageOut
from tidings.features.shops.segments.routes import router as segments_router
from tidings.features.shops.service import Shops
from tidings.features.shops.test_numbers.routes import router as test_numbers_router
from tidings.fields import After, Id, Limit
from tidings.messages.statuses import Status
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]

own_router = new_router()


@own_router.get("/shops/{domain}/messages", tags=["shops"])
async def list_shop_messages(
    shops: Service,
    domain: InPath,
    status: Status | None = None,
    automation_id: Id | None = None,
    campaign_id: Id | None = None,
    customer_id: Id | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[ShopMessageOut]:
    """The shop's messages."""
    rows = await shops.messages.list(
        domain,
        status=status,
        automation_id=automation_id,
        campaign_id=campaign_id,
        customer_id=customer_id,
        after_id=after_id,
        limit=limit,
    )
    return [ShopMessageOut.model_validate(row) for row in rows]


@own_router.post("/jobs/{queue}/{name:path}", status_code=202, tags=["jobs"])
async def enqueue_job(shops: Service, queue: Annotated[str, Path(max_length=64)], name: str, job: JobIn) -> Enqueued:
    """Adds a job to a queue of the shops, with its data checked."""
    await shops.enqueue_job(queue, name, job.data)
    return Enqueued(queue=queue, name=name)


router = APIRouter(
    routes=[
        route
        for one in (
            accounts_router,
            automations_router,
            events_router,
            customers_router,
            own_router,
            segments_router,
            campaigns_router,
            reports_router,
            inbox_router,
            test_numbers_router,
        )
        for route in one.routes
    ]
)
