"""Empties a shop that is to be erased, a portion at a time: messages, events, orders, and then its customers.

What is gone is gone; whoever begins again goes on with what is left. Other messages leave in between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import delete, select

from tidings.db.rows import locked_ids
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage, ShopOrder, ShopWebhookEvent
from tidings.features.shops.privacy.contacts import forget_consents, release_contacts
from tidings.features.shops.privacy.erasure import contacts_of, erase_messages, erase_replies
from tidings.features.shops.privacy.models import ShopDataExport
from tidings.work import Portions, Unit, Work

PORTION = 100
"""Rows that one unit of work erases, with what hangs on them."""

_Erase = Callable[[Unit, Shop, Sequence[Any]], Awaitable[None]]


async def empty_shop(work: Work, shop: Shop, event_id: int) -> None:
    """Erases most of what a shop has, but for the event that asks for it."""
    portions = Portions(work)

    async def messages(unit: Unit, shop: Shop, ids: Sequence[int]) -> None:
        erased = await erase_messages(unit, ShopMessage.id.in_(ids), shop, work.clock.now())
        await erase_replies(unit.session, erased)
        await unit.session.execute(delete(ShopMessage).where(ShopMessage.id.in_(erased)))

    async def all_of(model: Any, erase: _Erase, *which: Any) -> None:
        last_id = 0
        while True:
            async with portions.begin() as unit:
                query = select(model.id).where(model.shop_id == shop.id, model.id > last_id, *which)
                ids = (await unit.session.scalars(query.order_by(model.id).limit(PORTION))).all()
                if ids:
                    await erase(unit, shop, ids)
                    last_id = ids[-1]
            if len(ids) < PORTION:
                return

    await all_of(ShopMessage, messages)
    await all_of(ShopWebhookEvent, _rows_of(ShopWebhookEvent), ShopWebhookEvent.id != event_id)
    await all_of(ShopOrder, _rows_of(ShopOrder))
    await all_of(ShopDataExport, _rows_of(ShopDataExport))
    await all_of(ShopCustomer, _customers)


def _rows_of(model: Any) -> _Erase:
    async def erase(unit: Unit, shop: Shop, ids: Sequence[int]) -> None:
        await unit.session.execute(delete(model).where(model.id.in_(locked_ids(model, model.id.in_(ids)))))

    return erase


async def _customers(unit: Unit, shop: Shop, ids: Sequence[int]) -> None:
    session = unit.session
    query = select(ShopCustomer).where(ShopCustomer.id.in_(ids)).order_by(ShopCustomer.id)
    customers = (await session.scalars(query.with_for_update())).all()
    contacts = await contacts_of(session, customers)
    await forget_consents(session, shop, contacts)
    await session.execute(
        delete(ShopCustomer).where(ShopCustomer.id.in_(ids)).execution_options(synchronize_session=False)
    )
    await release_contacts(session, contacts)
