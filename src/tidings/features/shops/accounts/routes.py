"""HTTP endpoints of shops themselves. What is below /shops/<domain> also takes that shop's own API key."""

from __future__ import annotations

from typing import Annotated

from tidings.features.shops.accounts.schemas import (
    ApiKeyOut,
    CallbackTokenIn,
    SecretIn,
    ShopCallbackOut,
    ShopChange,
    ShopCreated,
    ShopIn,
    ShopOut,
)
from tidings.features.shops.models import Shop
from tidings.features.shops.schemas import InPath
from tidings.features.shops.service import Shops
from tidings.fields import After, Limit
from tidings.messages.routes.tenants import TenantOut
from tidings.messages.tenant_settings import TenantRules, TenantSettings
from tidings.messages.tenants import shop_tenant
from tidings.web.routing import new_router, provided

Service = Annotated[Shops, provided(Shops)]
Tenants = Annotated[TenantSettings, provided(TenantSettings)]

router = new_router(tags=["shops"])


def shown(row: Shop) -> ShopOut:
    """A shop without its secrets."""
    columns = {name: getattr(row, name) for name in ShopOut.model_fields if name != "has_mitto_api_key"}
    return ShopOut(**columns, has_mitto_api_key=row.mitto_api_key is not None)


@router.post("/shops", status_code=201)
async def create_shop(shops: Service, shop: ShopIn) -> ShopCreated:
    """Adds a shop; the answer has its API key and its address for Mitto's callbacks, this once."""
    row, api_key = await shops.accounts.create(shop)
    accounts = shops.accounts
    return ShopCreated(
        shop=shown(row),
        api_key=api_key,
        callback_url=accounts.callback_url(row),
        webhook_url=accounts.webhook_url,
    )


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


@router.get("/shops/{domain}/tenant")
async def get_shop_tenant(shops: Service, tenants: Tenants, domain: InPath) -> TenantOut:
    """Who the shop speaks as, its quiet hours and caps; what is null is as the installation says."""
    shop = await shops.accounts.get(domain)
    return TenantOut.model_validate(await tenants.get(shop_tenant(shop.id)))


@router.patch("/shops/{domain}/tenant")
async def change_shop_tenant(shops: Service, tenants: Tenants, domain: InPath, change: TenantRules) -> TenantOut:
    """Changes what is given; messages that wait go by it at their turn."""
    shop = await shops.accounts.get(domain)
    changed = await tenants.change(shop_tenant(shop.id), change.model_dump(exclude_unset=True))
    return TenantOut.model_validate(changed)


@router.post("/shops/{domain}/api-key")
async def rotate_api_key(shops: Service, domain: InPath) -> ApiKeyOut:
    """A new API key; the one before is of no use from now on."""
    return ApiKeyOut(api_key=await shops.accounts.rotate_api_key(domain))


@router.post("/shops/{domain}/callback-token")
async def rotate_callback_token(
    shops: Service, domain: InPath, wanted: CallbackTokenIn | None = None
) -> ShopCallbackOut:
    """A new address for Mitto's callbacks; the one before still counts unless it is to be forgotten."""
    forget = wanted is not None and wanted.forget_previous
    return ShopCallbackOut(callback_url=await shops.accounts.rotate_callback_token(domain, forget_previous=forget))


@router.put("/shops/{domain}/webhook-secret")
async def rotate_webhook_secret(shops: Service, domain: InPath, secret: SecretIn) -> ShopOut:
    """Stores the app's new secret; the one before still counts unless it is to be forgotten."""
    return shown(await shops.accounts.rotate_webhook_secret(domain, secret))
