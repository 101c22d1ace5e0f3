"""Customers: the businesses that have chatbots, and whose servers are told what happens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.db.rows import find


class Plan(Base):
    """What customers pay: `monthly_price` is a decimal in US dollars, as text. It decides who is answered first."""

    __tablename__ = "plans"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    monthly_price: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Customer(Base):
    """A business that has chatbots and maybe servers of its own that hear of events."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plans.id"), default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


async def find_plan(session: AsyncSession, plan_id: int, *, lock: bool = False) -> Plan:
    """Raises NotFound."""
    return await find(session, Plan, "plan", plan_id, lock=lock)


async def find_customer(session: AsyncSession, customer_id: int, *, lock: bool = False) -> Customer:
    """Raises NotFound."""
    return await find(session, Customer, "customer", customer_id, lock=lock)
