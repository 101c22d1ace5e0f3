"""HTTP endpoints of shops themselves. What is below /shops/<domain> also takes that shop's own API key."""

from __future__ import annotations

from typing import Annotated

from tidings.features.shops.accounts.schemas import ApiKeyOut, SecretIn, ShopChange, ShopCreated, ShopIn, ShopOut
from tidings.features.shops.models import Shop
from tidings.features.shops.schemas import InPath
from tidings.features.shops.service import Shops
from tidings.fields import After, Limit
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]

router = new_router(tags=["shops"])


def shown(row: Shop) -> ShopOut:
    """A shop without its secrets."""
    columns = {name: getattr(row, name) for name in ShopOut.model_fields if name != "has_mitto_api_key"}
    return ShopOut(**columns, has_mitto_api_key=row.mitto_api_key is not None)


@router.post("/shops", status_code=201)
async def create_shop(shops: Service, shop: ShopIn) -> ShopCreated:
    """Adds a shop; the answer has its API key, this once."""
    row, api_key = await shops.accounts.create(shop)
    return ShopCreated(shop=shown(row), api_key=api_key)


@router.get("/shops")
async def list_shops(shops: Service, after_id: After = 0, limit: Limit = 100) -> list[ShopOut]:
    """Shops in order of id; the last id is the next page's `after_id`."""
    return [shown(row) for row in await shops.accounts.list(after_id, limit)]


@router.get("/shops/{domain}")
async def get_shop(shops: Service, domain: InPath) -> ShopOut:
    """One shop."""
    return shown(await shops.accounts.get(domain))


@router.patch("/shops/{domain}")
async def change_shop(shops: Service, domain: InPath, change: ShopChange) -> ShopOut:
    """Changes what is given."""
    return shown(await shops.accounts.change(domain, change))


@router.post("/shops/{domain}/api-key")
async def rotate_api_key(shops: Service, domain: InPath) -> ApiKeyOut:
    """A new API key; the one before is of no use from now on."""
    return ApiKeyOut(api_key=await shops.accounts.rotate_api_key(domain))


@router.put("/shops/{domain}/webhook-secret")
async def rotate_webhook_secret(shops: Service, domain: InPath, secret: SecretIn) -> ShopOut:
    """Stores the app's new secret; the one before still counts unless it is to be forgotten."""
    return shown(await shops.accounts.rotate_webhook_secret(domain, secret))
