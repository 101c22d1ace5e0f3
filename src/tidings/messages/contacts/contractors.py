"""Contractors: the people whom every feature writes to. The table carries the specification's name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import String, UniqueConstraint, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.errors import Conflict, NotFound

PROFILE = ("name", "phone", "email", "company_name")
"""What makes a profile complete."""


class Contractor(Base):
    """A person. `phone` is E.164; `timezone` an IANA name, when it is known; `vip` goes first where it can."""

    __tablename__ = "contractors"
    __table_args__ = (UniqueConstraint("phone"), UniqueConstraint("email"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    first_name: Mapped[str | None] = mapped_column(String(100), default=None)
    last_name: Mapped[str | None] = mapped_column(String(100), default=None)
    phone: Mapped[str | None] = mapped_column(String(20), default=None)
    email: Mapped[str | None] = mapped_column(String(254), default=None)
    company_name: Mapped[str | None] = mapped_column(String(200), default=None)
    timezone: Mapped[str | None] = mapped_column(String(64), default=None)
    vip: Mapped[bool] = mapped_column(default=False)
    ghl_contact_id: Mapped[str | None] = mapped_column(String(64), default=None)
    ghl_location_id: Mapped[str | None] = mapped_column(String(64), default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def has_complete_profile(self) -> bool:
        """Whether everything is known that a personal agenda and a peer match need."""
        return is_complete(self)

    def complete(self, values: Mapping[str, Any], now: datetime) -> None:
        """Takes over what is new among the values; empty ones never erase known ones."""
        for name, value in values.items():
            if value is not None and getattr(self, name) != value:
                setattr(self, name, value)
                self.updated_at = now


def is_complete(person: Any) -> bool:
    """Whether a contractor, or whoever is to become one, has a complete profile."""
    return all(getattr(person, name) for name in PROFILE)


async def find_contractor(session: AsyncSession, contractor_id: int) -> Contractor:
    """Raises NotFound when there is no such contractor."""
    found = await session.get(Contractor, contractor_id)
    if found is None:
        raise NotFound("contractor", contractor_id)
    return found


async def save_contractor(session: AsyncSession, values: Mapping[str, Any], now: datetime) -> tuple[Contractor, bool]:
    """Adds a person, or completes the one with the same phone number or mail address.

    Empty values never erase known ones. Returns the contractor and whether it is new. Raises Conflict when
    phone and mail belong to two different people.
    """
    phone, email = values.get("phone"), values.get("email")
    matches: dict[int, Contractor] = {}
    for column, value in ((Contractor.phone, phone), (Contractor.email, email)):
        if value and (match := await session.scalar(select(Contractor).where(column == value))):
            matches[match.id] = match
    require_one(matches, values)
    if not matches:
        new = Contractor(**values, created_at=now, updated_at=now)
        session.add(new)
        await session.flush()
        return new, True
    known = next(iter(matches.values()))
    known.complete(values, now)
    await session.flush()
    return known, False


async def contacts_with(session: AsyncSession, address: str) -> list[int]:
    """The contacts with this phone number (E.164) or mail address, oldest first."""
    column = Contractor.email if "@" in address else Contractor.phone
    return list(await session.scalars(select(Contractor.id).where(column == address).order_by(Contractor.id)))


def require_one(ids: Collection[int], values: Mapping[str, Any]) -> None:
    """Raises Conflict when the phone and the mail of one person belong to several contractors."""
    if len(ids) > 1:
        raise Conflict(
            f"phone {values.get('phone')} belongs to contractor {min(ids)} and email {values.get('email')} to "
            f"contractor {max(ids)}, or the other way round; merge them first"
        )
