"""The table of daily figures."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId, Json


class ShopDailyReport(Base):
    """A day's figures in the shop's timezone, of one automation, of one campaign, or of neither (both 0)."""

    __tablename__ = "shop_daily_reports"
    __table_args__ = (UniqueConstraint("shop_id", "day", "automation_id", "campaign_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    day: Mapped[date] = mapped_column(Date)
    automation_id: Mapped[int] = mapped_column(BigId, default=0)
    campaign_id: Mapped[int] = mapped_column(BigId, default=0)
    figures: Mapped[dict[str, Any]] = mapped_column(Json)
    updated_at: Mapped[datetime]
