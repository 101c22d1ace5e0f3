"""The table of automations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.features.shops.models import OptionalJson


class ShopAutomation(Base):
    """What is written to whom when something happens. `version` counts its changes from 1."""

    __tablename__ = "shop_automations"
    __table_args__ = (UniqueConstraint("shop_id", "key"), Index(None, "shop_id", "trigger"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    key: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    trigger: Mapped[str] = mapped_column(String(64))
    rules: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson, default=None)
    template: Mapped[str] = mapped_column(Text)
    delay_seconds: Mapped[int] = mapped_column(default=0)
    purpose: Mapped[str] = mapped_column(String(16))
    goal_topic: Mapped[str | None] = mapped_column(String(64), default=None)
    restart: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
