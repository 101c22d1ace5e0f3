"""Looking up what belongs to one shop. What is another shop's is not found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import NotFound
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage, ShopWebhookEvent
from tidings.features.shops.privacy.models import ShopDataExport

OfShop = TypeVar("OfShop", ShopCustomer, ShopDataExport, ShopMessage, ShopWebhookEvent)


async def find_shop(session: AsyncSession, domain: str, *, lock: bool = False) -> Shop:
    """The shop with this domain. Raises NotFound."""
    query = select(Shop).where(Shop.domain == domain.strip().lower())
    found = await session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise NotFound("shop", domain)
    return found


async def find_told_shop(session: AsyncSession, told: str) -> Shop:
    """The shop that another program names by its domain, by an address with it, by the name before .myshopify.com,
    or by its row's id. Raises NotFound."""
    if told.isdecimal() and len(told) < 19 and (found := await session.get(Shop, int(told))) is not None:
        return found
    if told.startswith("gid:"):
        raise NotFound("shop", f"{told}; name it by its domain")
    domain = re.sub(r"^https?://|/.*$", "", told.strip(), flags=re.I)
    return await find_shop(session, domain if "." in domain else f"{domain}.myshopify.com")


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


async def find_page(
    session: AsyncSession,
    model: type[OfShop],
    domain: str,
    after_id: int,
    limit: int,
    *conditions: ColumnElement[bool],
) -> Sequence[OfShop]:
    """A shop's rows of one table in order of id, after `after_id`. Raises NotFound for an unknown shop."""
    shop = await find_shop(session, domain)
    query = select(model).where(model.shop_id == shop.id, model.id > after_id, *conditions)
    return (await session.scalars(query.order_by(model.id).limit(limit))).all()


async def find_one(session: AsyncSession, model: type[OfShop], noun: str, domain: str, row_id: int) -> OfShop:
    """A shop's row of one table. Raises NotFound."""
    shop = await find_shop(session, domain)
    found = await session.get(model, row_id)
    if found is None or found.shop_id != shop.id:
        raise NotFound(noun, row_id)
    return found
