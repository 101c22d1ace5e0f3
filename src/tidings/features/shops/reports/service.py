"""What people read about a shop's messages: daily figures in the shop's timezone, and their totals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from tidings.errors import InvalidInput
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.reports.models import ShopDailyReport
from tidings.features.shops.reports.schemas import DayFigures, ShopReport
from tidings.work import Work

MOST_DAYS = 366
_COUNTED = ("sent", "simulated", "delivered", "undelivered", "skipped", "failed", "segments")


class ShopReports:
    """Daily figures of shops."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def get(self, domain: str, *, first: date | None = None, last: date | None = None) -> ShopReport:
        """The figures of the days from `first` to `last`, by default the last 30; they are counted every hour.

        Raises NotFound, and InvalidInput for a last day before the first or more than 366 days.
        """
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            last = last or self._work.clock.now().astimezone(ZoneInfo(shop.timezone)).date()
            first = first or last - timedelta(days=29)
            if not first <= last < first + timedelta(days=MOST_DAYS):
                raise InvalidInput("last", f"must be a day from the first one on, and at most {MOST_DAYS} days")
            rows = (
                await session.execute(
                    select(ShopDailyReport, ShopAutomation.key, ShopCampaign.key)
                    .outerjoin(ShopAutomation, ShopAutomation.id == ShopDailyReport.automation_id)
                    .outerjoin(ShopCampaign, ShopCampaign.id == ShopDailyReport.campaign_id)
                    .where(
                        ShopDailyReport.shop_id == shop.id,
                        ShopDailyReport.day >= first,
                        ShopDailyReport.day <= last,
                    )
                    .order_by(ShopDailyReport.day, ShopDailyReport.automation_id, ShopDailyReport.campaign_id)
                )
            ).all()
        days = [
            DayFigures(
                day=row.day, automation=automation or _gone(row.automation_id), campaign=campaign, **row.figures
            )
            for row, automation, campaign in rows
        ]
        return ShopReport(
            currency=shop.currency,
            days=days,
            total=_total(days),
            rolled_up_at=max((row.updated_at for row, _, _ in rows), default=None),
        )


def _gone(automation_id: int) -> str | None:
    return f"deleted automation {automation_id}" if automation_id else None


def _total(days: Sequence[DayFigures]) -> dict[str, Any]:
    total: dict[str, Any] = {name: sum(getattr(day, name) for day in days) for name in _COUNTED}
    return {**total, "cost": str(sum((Decimal(day.cost) for day in days), Decimal()))}
