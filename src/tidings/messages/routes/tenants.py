"""HTTP endpoints of tenants: who each speaks as, and by which rules its messages go."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path

from tidings.fields import Output
from tidings.messages.tenant_settings import TenantChange, TenantSettings
from tidings.web.routing import new_router, provided

TenantKey = Annotated[str, Path(max_length=64, examples=["shop:3"])]


class TenantOut(Output):
    """A tenant; what is null is as the installation says, whose own rules are settings. Times are UTC."""

    key: str
    name: str
    brand: str | None
    support: str | None
    programme: str | None
    timezone: str | None
    quiet_hours: str | None
    quiet_hours_by_country: str | None
    frequency_caps: str | None
    updated_at: datetime | None


Service = Annotated[TenantSettings, provided(TenantSettings)]

router = new_router(tags=["tenants"])


@router.get("/tenants")
async def list_tenants(tenants: Service) -> list[TenantOut]:
    """Every tenant, the installation first."""
    return [TenantOut.model_validate(one) for one in await tenants.list()]


@router.get("/tenants/{tenant}")
async def get_tenant(tenants: Service, tenant: TenantKey) -> TenantOut:
    """One tenant, by its name: installation, shop:3, customer:5."""
    return TenantOut.model_validate(await tenants.get(tenant))


@router.patch("/tenants/{tenant}")
async def change_tenant(tenants: Service, tenant: TenantKey, change: TenantChange) -> TenantOut:
    """Changes what is given."""
    return TenantOut.model_validate(await tenants.change(tenant, change.model_dump(exclude_unset=True)))
