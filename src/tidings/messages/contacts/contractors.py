"""Contractors: the people whom every feature writes to. The table carries the specification's name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.errors import Conflict, NotFound

PROFILE = ("name", "phone", "email", "company_name")
"""What makes a profile complete."""

_IS_MERGED = text("merged_into IS NOT NULL")


class Contractor(Base):
    """A person. `timezone` is an IANA name, when it is known; `vip` goes first where it can.

    `phone` (E.164) and `email` are the addresses that messages go to; all that the person has are `ContactAddress`es.
    `merged_into` names the person whose second entry this was; after `erased_at` nothing is known of them.
    """

    __tablename__ = "contractors"
    __table_args__ = (
        Index(None, "phone"),
        Index(None, "email"),
        Index(None, "merged_into", sqlite_where=_IS_MERGED, postgresql_where=_IS_MERGED),
    )

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
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("contractors.id"), default=None)
    erased_at: Mapped[datetime | None] = mapped_column(default=None)
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
    """Raises NotFound when there is no such contractor, and Conflict when it was merged into another one."""
    found = await session.get(Contractor, contractor_id)
    if found is None or found.erased_at is not None:
        raise NotFound("contractor", contractor_id)
    require_own(found)
    return found


def require_own(contact: Contractor) -> None:
    """Raises Conflict for an entry that was merged into another one."""
    if contact.merged_into is not None:
        raise Conflict(f"contractor {contact.id} was merged into contractor {contact.merged_into}; use that one")
