"""What goes out of reports."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from tidings.fields import Output


class DayFigures(Output):
    """A day's figures in the shop's timezone, of one automation or campaign, or of neither."""

    day: date
    automation: str | None
    campaign: str | None
    sent: int
    simulated: int = 0
    delivered: int
    undelivered: int
    skipped: int
    failed: int
    segments: int
    cost: str


class ShopReport(Output):
    """The figures of some days and their totals. `rolled_up_at` is how old the newest of them are."""

    currency: str
    days: list[DayFigures]
    total: dict[str, Any]
    rolled_up_at: datetime | None
