"""Customers whom the installation was asked to erase with everything else that is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from tidings.features.shops.models import Shop, ShopCustomer
from tidings.features.shops.privacy.erasure import erase_person, find_mentions
from tidings.features.shops.rules.contexts import normalize_event_context
from tidings.work import Work


async def erase_customers(work: Work, contact_ids: Sequence[int]) -> Mapping[str, int]:
    """Erases the customers of every shop that are linked to the contacts; how many that were."""
    erased = 0
    async with work.read() as session:
        query = select(ShopCustomer).where(ShopCustomer.contractor_id.in_(contact_ids)).order_by(ShopCustomer.id)
        customers = (await session.scalars(query)).all()
        shops = {shop.id: shop for shop in await session.scalars(select(Shop))}
    for customer in customers:
        shop = shops[customer.shop_id]
        guest = customer.customer_key.startswith(("email:", "phone:"))
        told = {"id": None if guest else customer.customer_key, "email": customer.email, "phone": customer.phone}
        named = {"customer": {name: value for name, value in told.items() if value}}
        context = normalize_event_context("customers/redact", named, shop.domain)
        mentions = await find_mentions(work, shop, context)
        async with work.begin() as unit:
            erased += await erase_person(unit, shop, context, work.clock.now(), mentions)
    return {ShopCustomer.__tablename__: erased}
