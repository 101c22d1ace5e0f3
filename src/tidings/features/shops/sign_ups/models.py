"""The table of sign-ups that wait for a YES."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId


class ShopSignUp(Base):
    """Somebody who texted a shop's keyword (`words`) by a door and was asked to confirm it at `asked_at` (UTC).

    `address` is in its canonical form. A sign-up that was confirmed is a consent, and no row here any more.
    """

    __tablename__ = "shop_sign_ups"
    __table_args__ = (UniqueConstraint("shop_id", "address"), Index(None, "address"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    address: Mapped[str] = mapped_column(String(20))
    door: Mapped[str] = mapped_column(String(300))
    words: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime]
