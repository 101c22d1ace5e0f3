"""A day's figures of a shop: what its automations and campaigns sent, and what came of it.

Figures are counted from the messages again each time, so that doing it twice changes nothing. They outlive the
messages' texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.jobs import SHOP_MESSAGE
from tidings.features.shops.models import Shop, ShopMessage
from tidings.features.shops.reports.models import ShopDailyReport
from tidings.messages.ledger import HANDED_OVER, DeliveryStatus, LedgerEntry
from tidings.messages.statuses import Status
from tidings.work import Work

DAYS = 3
"""Days that are counted again: delivery reports come in late, and a shop may have been away at midnight."""

_Source = tuple[int, int]
"""Ids of an automation and a campaign, 0 for none."""

_NO_FIGURES = {
    "sent": 0,
    "simulated": 0,
    "delivered": 0,
    "undelivered": 0,
    "skipped": 0,
    "failed": 0,
    "segments": 0,
    "cost": "0",
}


async def roll_up(work: Work, shop_id: int, days: int = DAYS) -> int:
    """Counts the last `days` days of a shop again, today included. Returns how many lines of figures there are.

    Counting takes long where there are many messages, and is done before anything is locked or written.
    """
    now = work.clock.now()
    async with work.read() as session:
        shop = await session.get_one(Shop, shop_id)
        today = now.astimezone(ZoneInfo(shop.timezone)).date()
        first = today - timedelta(days=days - 1)
        lines = [
            {
                "shop_id": shop.id,
                "day": day,
                "automation_id": automation_id,
                "campaign_id": campaign_id,
                "figures": {**_NO_FIGURES, **found},
                "updated_at": now,
            }
            for day in (first + timedelta(days=number) for number in range(days))
            for (automation_id, campaign_id), found in sorted((await _figures(session, shop, day)).items())
        ]
    async with work.begin() as unit:
        # Whoever counted the same shop at the same time waits here, and then finds and replaces these lines.
        await unit.session.get_one(Shop, shop_id, with_for_update={"key_share": True})
        await unit.session.execute(
            delete(ShopDailyReport).where(
                ShopDailyReport.shop_id == shop_id, ShopDailyReport.day >= first, ShopDailyReport.day <= today
            )
        )
        if lines:
            await unit.session.execute(insert(ShopDailyReport), lines)
    return len(lines)


def bounds(day: date, timezone: str) -> tuple[datetime, datetime]:
    """The first moment of a day in a timezone and that of the next day, UTC."""
    zone = ZoneInfo(timezone)
    start, end = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, day + timedelta(days=1)))
    return start, end


async def _figures(session: AsyncSession, shop: Shop, day: date) -> Mapping[_Source, dict[str, Any]]:
    """A sent message counts on the day on which it left, any other on the day on which it was due."""
    start, end = bounds(day, shop.timezone)
    figures: defaultdict[_Source, dict[str, Any]] = defaultdict(dict)
    left = (
        ShopMessage.status == Status.SENT,
        ShopMessage.sent_at >= start,
        ShopMessage.sent_at < end,
    )
    costs: defaultdict[_Source, Decimal] = defaultdict(Decimal)
    for source, price, sent, segments in await _grouped(
        session, shop.id, ShopMessage.price, func.count(), func.sum(ShopMessage.segments), where=left
    ):
        found = figures[source]
        found["sent"] = found.get("sent", 0) + sent
        found["segments"] = found.get("segments", 0) + int(segments or 0)
        costs[source] += Decimal(price or 0) * sent
    for source, cost in costs.items():
        figures[source]["cost"] = str(cost)
    for source, status, number in await _grouped(
        session,
        shop.id,
        LedgerEntry.delivery_status,
        func.count(),
        where=(
            *left,
            LedgerEntry.kind == SHOP_MESSAGE,
            LedgerEntry.message_id == ShopMessage.id,
            LedgerEntry.outcome.in_(HANDED_OVER),
        ),
    ):
        found = figures[source]
        if status in (DeliveryStatus.DELIVERED, DeliveryStatus.READ):
            found["delivered"] = found.get("delivered", 0) + number
        elif status == DeliveryStatus.FAILED:
            found["undelivered"] = found.get("undelivered", 0) + number
    simulated = (ShopMessage.status == Status.SIMULATED, ShopMessage.sent_at >= start, ShopMessage.sent_at < end)
    for source, _, number in await _grouped(session, shop.id, ShopMessage.status, func.count(), where=simulated):
        figures[source]["simulated"] = number
    ended = (
        ShopMessage.status.in_((Status.SKIPPED, Status.CANCELLED, Status.FAILED)),
        ShopMessage.scheduled_time >= start,
        ShopMessage.scheduled_time < end,
    )
    for source, status, number in await _grouped(session, shop.id, ShopMessage.status, func.count(), where=ended):
        name = "failed" if status == Status.FAILED else "skipped"
        figures[source][name] = figures[source].get(name, 0) + number
    return figures


async def _grouped(
    session: AsyncSession, shop_id: int, what: Any, *counts: Any, where: tuple[ColumnElement[bool], ...]
) -> list[tuple[Any, ...]]:
    """Rows of (source, value of `what`, counts…) of a shop's messages."""
    automation = func.coalesce(ShopMessage.automation_id, 0)
    campaign = func.coalesce(ShopMessage.campaign_id, 0)
    rows = await session.execute(
        select(automation, campaign, what, *counts)
        .where(ShopMessage.shop_id == shop_id, *where)
        .group_by(automation, campaign, what)
    )
    return [((row[0], row[1]), *row[2:]) for row in rows]
