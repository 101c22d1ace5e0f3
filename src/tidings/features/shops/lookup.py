"""Looking up what belongs to one shop. What is another shop's is not found."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.features.shops.models import Shop, ShopAutomation, ShopCustomer


async def find_shop(session: AsyncSession, domain: str, *, lock: bool = False) -> Shop:
    """The shop with this domain. Raises NotFound."""
    query = select(Shop).where(Shop.domain == domain.strip().lower())
    found = await session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise NotFound("shop", domain)
    return found


async def find_automation(session: AsyncSession, shop: Shop, key: str, *, lock: bool = False) -> ShopAutomation:
    """A shop's automation. Raises NotFound."""
    query = select(ShopAutomation).where(ShopAutomation.shop_id == shop.id, ShopAutomation.key == key)
    found = await session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise NotFound("automation", key)
    return found


async def find_customer(session: AsyncSession, shop: Shop, customer_id: int) -> ShopCustomer:
    """A shop's customer by our id. Raises NotFound."""
    found = await session.get(ShopCustomer, customer_id)
    if found is None or found.shop_id != shop.id:
        raise NotFound("customer", customer_id)
    return found
