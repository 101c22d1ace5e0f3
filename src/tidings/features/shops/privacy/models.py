"""The table of exports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId, Json


class ShopDataExport(Base):
    """What a shop may hand to a customer who asked what is kept about them (`customers/data_request`)."""

    __tablename__ = "shop_data_exports"
    __table_args__ = (UniqueConstraint("shop_id", "request_key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    request_key: Mapped[str] = mapped_column(String(255))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("shop_customers.id"), default=None)
    content: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime]
