"""The table of campaigns. Their recipients are rows of `shop_messages`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.features.shops.models import OptionalJson


class ShopCampaign(Base):
    """One text to a whole segment. Its rules and template are those of the moment when it was scheduled.

    `local_time`: `send_at` is a wall-clock time where each recipient is. `rate_per_minute` None is no limit of its
    own; the next recipient is released at `next_release_at`. `cursor` is the last customer's id that was
    looked at; when `expanded_at` is set, `audience` counts all recipients. `if_blocked` is what quiet hours and caps
    do to its messages (`defer` or `drop`).
    """

    __tablename__ = "shop_campaigns"
    __table_args__ = (UniqueConstraint("shop_id", "key"), Index(None, "status", "send_at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    key: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("shop_segments.id", ondelete="SET NULL"), default=None)
    segment_rules: Mapped[dict[str, Any] | None] = mapped_column(OptionalJson, default=None)
    template: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="draft")
    send_at: Mapped[datetime | None] = mapped_column(default=None)
    local_time: Mapped[bool] = mapped_column(default=False)
    not_after: Mapped[datetime | None] = mapped_column(default=None)
    if_blocked: Mapped[str] = mapped_column(String(8), default="defer")
    rate_per_minute: Mapped[int | None] = mapped_column(default=None)
    next_release_at: Mapped[datetime | None] = mapped_column(default=None)
    cursor: Mapped[int] = mapped_column(BigId, default=0)
    audience: Mapped[int] = mapped_column(default=0)
    expanded_at: Mapped[datetime | None] = mapped_column(default=None)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    request_id: Mapped[str | None] = mapped_column(String(100), default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
