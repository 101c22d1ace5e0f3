"""HTTP endpoints of a shop's customers, below the shop's. Times in answers are UTC."""

from __future__ import annotations

from typing import Annotated

from tidings.features.shops.customers.schemas import ExportOut, ShopCustomerOut
from tidings.features.shops.schemas import InPath
from tidings.features.shops.service import Shops
from tidings.fields import After, Id, Limit
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]

router = new_router(tags=["shops"])


@router.get("/shops/{domain}/customers")
async def list_customers(
    shops: Service, domain: InPath, after_id: After = 0, limit: Limit = 100
) -> list[ShopCustomerOut]:
    """The shop's customers."""
    rows = await shops.customers.list(domain, after_id=after_id, limit=limit)
    return [ShopCustomerOut.model_validate(row) for row in rows]


@router.get("/shops/{domain}/data-exports")
async def list_data_exports(
    shops: Service, domain: InPath, after_id: After = 0, limit: Limit = 100
) -> list[ExportOut]:
    """What customers asked to know (`customers/data_request`)."""
    rows = await shops.customers.list_exports(domain, after_id=after_id, limit=limit)
    return [ExportOut.model_validate(row) for row in rows]


@router.get("/shops/{domain}/data-exports/{export_id}")
async def get_data_export(shops: Service, domain: InPath, export_id: Id) -> ExportOut:
    """One export."""
    return ExportOut.model_validate(await shops.customers.get_export(domain, export_id))
