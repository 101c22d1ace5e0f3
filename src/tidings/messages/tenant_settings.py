"""What a tenant decides for itself: who it speaks as, its quiet hours and caps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, EmailStr, StringConstraints, TypeAdapter, ValidationError
from sqlalchemy import select

from tidings.errors import Conflict, InvalidInput
from tidings.fields import Input, Storable, Timezone
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.tenants import INSTALLATION, SHOP, Tenant, check_rules, divided, find_tenant
from tidings.settings import CoreSettings
from tidings.work import Work

_MAIL: TypeAdapter[str] = TypeAdapter(EmailStr)


def _reachable(support: str) -> str:
    """A mail address, a phone number or an https address. Raises ValueError."""
    if support.startswith("https://") and " " not in support:
        return support
    try:
        return _MAIL.validate_python(support) if "@" in support else parse_phone(support)
    except (ValidationError, InvalidInput) as error:
        raise ValueError(
            "is nothing where somebody can be reached; write a mail address, a number with + or an https address"
        ) from error


Brand = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), Storable]
Support = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_reachable)]
Rule = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), Storable]


class TenantRules(Input):
    """What is to change of a tenant; what is left out stays, and null is as the installation says.

    `brand` is who its notices speak for, `support` where its people get help, `programme` what its recurring texts
    are called. `quiet_hours` (21:00-08:00 or off), `quiet_hours_by_country` (FR 20:00-10:00, US 21:00-08:00) and
    `frequency_caps` (2/1d, 5/7d or off) are written as the settings are.
    """

    brand: Brand | None = None
    support: Support | None = None
    programme: Brand | None = None
    quiet_hours: Annotated[Rule, StringConstraints(max_length=16)] | None = None
    quiet_hours_by_country: Rule | None = None
    frequency_caps: Annotated[Rule, StringConstraints(max_length=100)] | None = None


class TenantChange(TenantRules):
    """The same, and for a tenant that is no shop its language and timezone; a shop has its own."""

    timezone: Timezone | None = None


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant as it is shown; see `Tenant`. The installation's columns are its settings; times are UTC."""

    key: str
    name: str
    brand: str | None
    support: str | None
    programme: str | None
    timezone: str | None
    quiet_hours: str | None
    quiet_hours_by_country: str | None
    frequency_caps: str | None
    updated_at: datetime | None = None


class TenantSettings:
    """What tenants decide, for other programs: `t.tenants` of the facade.

    A tenant is named `installation`, `shop:3` or `customer:5`. The installation's own rules are settings, which its
    environment says; they are shown here and changed there.
    """

    def __init__(self, work: Work, settings: CoreSettings) -> None:
        self._work = work
        self._own = TenantView(
            key=INSTALLATION,
            name=settings.brand,
            brand=settings.brand,
            support=settings.support,
            programme=None,
            timezone=settings.default_timezone,
            quiet_hours=settings.quiet_hours,
            quiet_hours_by_country=settings.quiet_hours_by_country,
            frequency_caps=settings.frequency_caps,
        )

    async def list(self) -> Sequence[TenantView]:
        """Every tenant, the installation first."""
        async with self._work.read() as session:
            rows = (await session.scalars(select(Tenant))).all()
        return [self._own, *(_view(row) for row in sorted(rows, key=lambda row: divided(row.key)))]

    async def get(self, tenant: str) -> TenantView:
        """One tenant. Raises NotFound."""
        if tenant == INSTALLATION:
            return replace(self._own)
        async with self._work.read() as session:
            return _view(await find_tenant(session, tenant))

    async def change(self, tenant: str, changes: Mapping[str, Any]) -> TenantView:
        """Changes what is given, as validated by `TenantChange`; messages that wait go by it at their turn.

        Raises NotFound, InvalidInput for what cannot be read, and Conflict for the installation.
        """
        if tenant == INSTALLATION:
            raise Conflict(
                "the installation's rules are settings: change TIDINGS_BRAND, TIDINGS_QUIET_HOURS and so on"
            )
        if divided(tenant)[0] == SHOP and "timezone" in changes:
            raise InvalidInput("timezone", "is the shop's own; change it with PATCH /shops/<its domain>")
        check_rules(changes)
        async with self._work.begin() as unit:
            row = await find_tenant(unit.session, tenant, lock=True)
            for name, value in changes.items():
                setattr(row, name, value)
            row.updated_at = self._work.clock.now()
            await unit.session.flush()
            return _view(row)


def _view(row: Tenant) -> TenantView:
    names = TenantView.__dataclass_fields__
    return TenantView(**{name: getattr(row, name) for name in names})
