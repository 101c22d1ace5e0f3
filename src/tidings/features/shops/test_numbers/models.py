"""The table of test numbers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId


class ShopTestNumber(Base):
    """A number (in its canonical form) to which a shop's tests may go from `verified_at` on (UTC).

    The latest code was sent at `asked_at` and counts until `code_until`, for a few `tries`; of it only a salted
    digest is kept. `codes` is how many were sent since the number was verified last.
    """

    __tablename__ = "shop_test_numbers"
    __table_args__ = (UniqueConstraint("shop_id", "phone"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    phone: Mapped[str] = mapped_column(String(20))
    code_salt: Mapped[str] = mapped_column(String(32))
    code_hash: Mapped[str] = mapped_column(String(64))
    code_until: Mapped[datetime]
    codes: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime]
    verified_at: Mapped[datetime | None] = mapped_column(default=None)
