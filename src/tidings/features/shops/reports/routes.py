"""HTTP endpoints of reports, below the shop's."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from tidings.features.shops.reports.schemas import ShopReport
from tidings.features.shops.service import Shops
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]

router = new_router(prefix="/shops/{domain}", tags=["reports"])


@router.get("/reports")
async def get_report(shops: Service, domain: str, first: date | None = None, last: date | None = None) -> ShopReport:
    """Daily figures of automations and campaigns in the shop's timezone; by default of the last 30 days."""
    return await shops.reports.get(domain, first=first, last=last)
