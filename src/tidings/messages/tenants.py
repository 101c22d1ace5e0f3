"""Tenants: in whose name a message goes, whose rules it keeps, and whom an opt-out, a consent or a reply concerns.

The installation itself is one, and so is every shop and every customer of the chats. What they share, and what not,
stands in docs/tenants.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base
from tidings.errors import InvalidInput, NotFound
from tidings.messages.gate.quiet_hours import QuietHours
from tidings.messages.gate.rules import Rules, parse_caps, parse_hours_by_country

INSTALLATION = "installation"
"""The tenant of event messages, follow-ups and proactive messages. Its rules are the settings."""

EVERY = "*"
"""Stands for every tenant, where something is said about all of them at once."""

SHOP, CUSTOMER = "shop", "customer"


class Tenant(Base):
    """A tenant beside the installation: `shop:3` or `customer:5`.

    `name` is what its feature calls it. The other columns are the tenant's own, and where they are None it is as the
    installation says: `brand` is who its notices speak for, `support` a mail address or phone number that they name,
    `programme` what its recurring text messages are called, which the answer to HELP says, `timezone` (IANA) where
    people are taken to be of whom nothing else is known. `quiet_hours`, `quiet_hours_by_country` and
    `frequency_caps` are written as the settings are.
    """

    __tablename__ = "tenants"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    brand: Mapped[str | None] = mapped_column(String(60), default=None)
    support: Mapped[str | None] = mapped_column(String(254), default=None)
    programme: Mapped[str | None] = mapped_column(String(60), default=None)
    timezone: Mapped[str | None] = mapped_column(String(64), default=None)
    quiet_hours: Mapped[str | None] = mapped_column(String(16), default=None)
    quiet_hours_by_country: Mapped[str | None] = mapped_column(String(1000), default=None)
    frequency_caps: Mapped[str | None] = mapped_column(String(100), default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a tenant's notices speak for: its brand, where its people can be reached, and what its texts are called."""

    brand: str
    support: str | None = None
    programme: str | None = None


def shop_tenant(shop_id: int) -> str:
    """The tenant that a shop is."""
    return f"{SHOP}:{shop_id}"


def customer_tenant(customer_id: int) -> str:
    """The tenant that a customer of the chats is."""
    return f"{CUSTOMER}:{customer_id}"


def divided(tenant: str) -> tuple[str, int]:
    """`shop:3` as its kind and its id; the installation is ("installation", 0)."""
    kind, _, number = tenant.partition(":")
    return kind, int(number or 0)


async def add_tenant(session: AsyncSession, key: str, name: str, now: datetime, **more: Any) -> Tenant:
    """Adds a tenant, or renames one that is here already, in the caller's transaction; `more` are other columns."""
    row = await session.get(Tenant, key, with_for_update=True)
    if row is None:
        row = Tenant(key=key, name=name, created_at=now, updated_at=now, **more)
        session.add(row)
    else:
        row.name, row.updated_at = name, now
        for column, value in more.items():
            setattr(row, column, value)
    await session.flush()
    return row


async def find_tenant(session: AsyncSession, key: str, *, lock: bool = False) -> Tenant:
    """Raises NotFound, also for the installation, whose settings are no row."""
    row = await session.get(Tenant, key, with_for_update=lock or None)
    if row is None:
        raise NotFound("tenant", key)
    return row


async def senders_of(session: AsyncSession, tenants: Collection[str], own: Sender) -> dict[str, Sender]:
    """Who each of the tenants' notices speak for; `own` is the installation's."""
    columns = (Tenant.key, Tenant.name, Tenant.brand, Tenant.support, Tenant.programme)
    rows = await session.execute(select(*columns).where(Tenant.key.in_(sorted(tenants))))
    found = {row.key: Sender(row.brand or row.name, row.support, row.programme) for row in rows}
    return {key: found.get(key, own) for key in tenants}


_RULES = select(Tenant.key, Tenant.timezone, Tenant.quiet_hours, Tenant.quiet_hours_by_country, Tenant.frequency_caps)


async def rules_of(
    connection: AsyncConnection | AsyncSession, tenants: Collection[str], own: Rules
) -> Mapping[str, Rules]:
    """The gate's rules for each of the tenants; `own` are the installation's, and stand for what one leaves open."""
    others = sorted(set(tenants) - {INSTALLATION})
    rules = {INSTALLATION: own, **dict.fromkeys(others, own)}
    if others:
        for row in await connection.execute(_RULES.where(Tenant.key.in_(others))):
            rules[row.key] = _with_own(own, *row[1:])
    return rules


@lru_cache(maxsize=1024)
def _with_own(
    rules: Rules, timezone: str | None, quiet_hours: str | None, by_country: str | None, caps: str | None
) -> Rules:
    changes: dict[str, Any] = {}
    if timezone is not None:
        changes["timezone"] = timezone
    if quiet_hours is not None:
        changes["quiet_hours"] = QuietHours.parse(quiet_hours)
    if by_country is not None:
        changes["by_country"] = parse_hours_by_country(by_country)
    if caps is not None:
        changes["caps"] = parse_caps(caps)
    return replace(rules, **changes) if changes else rules


def check_rules(values: Mapping[str, Any]) -> None:
    """Raises InvalidInput for rules of a tenant that cannot be read, naming the column."""
    readers = {
        "quiet_hours": QuietHours.parse,
        "quiet_hours_by_country": parse_hours_by_country,
        "frequency_caps": parse_caps,
    }
    for name, read in readers.items():
        if values.get(name) is not None:
            try:
                read(values[name])
            except ValueError as error:
                raise InvalidInput(name, str(error)) from error
